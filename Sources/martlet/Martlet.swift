import MartletCommand

@main enum Martlet {
    static func main() async { await CommandLineEntry.run() }
}
