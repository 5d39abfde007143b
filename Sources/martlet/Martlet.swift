import MartletCommand

@main struct Martlet {
    static func main() async {}
}
