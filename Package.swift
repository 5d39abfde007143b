// swift-tools-version: 6.2
// Martlet: one program that serves AutoGLM-Phone-9B and the GLM-4.1V family behind the OpenAI API.
// Targets stand in data-flow order; ARCHITECTURE.md says what each may know.
import PackageDescription

let swift: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "martlet",
    platforms: [.macOS(.v15)],
    products: [.executable(name: "martlet", targets: ["martlet"])],
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.100.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Values and formats: nothing of ours below them.
        // Kernels are optimised in debug builds too: tests run the model on them.
        .target(name: "CDigest", cSettings: [.unsafeFlags(["-O2"])]),
        .target(name: "CMartletKernels", cSettings: [.unsafeFlags(["-O2"])]),
        .target(name: "CMPI", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
        .target(
            name: "CCUDA", exclude: ["kernels"],
            linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),
        .target(
            name: "CImage",
            linkerSettings: [.linkedLibrary("png"), .linkedLibrary("turbojpeg"), .linkedLibrary("webp")]),
        .target(name: "MartletCore", dependencies: ["CDigest"], swiftSettings: swift),
        .target(name: "MartletTensor", dependencies: ["MartletCore", "CDigest"], swiftSettings: swift),
        .target(
            name: "MartletParallel",
            dependencies: [
                "MartletCore", "CMartletKernels", "CMPI", .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: swift),

        // Bytes to prompts.
        .target(name: "MartletText", dependencies: ["MartletCore"], swiftSettings: swift),
        .target(name: "MartletVision", dependencies: ["MartletCore", "CImage"], swiftSettings: swift),

        // Prompts to tokens.
        .target(
            name: "MartletEngine",
            dependencies: ["MartletCore", .product(name: "DequeModule", package: "swift-collections")],
            swiftSettings: swift),
        .target(
            name: "MartletModels",
            dependencies: ["MartletEngine", "MartletTensor", "MartletParallel", "MartletCore"],
            swiftSettings: swift),
        .target(
            name: "MartletCPU", dependencies: ["MartletTensor", "MartletParallel", "MartletCore", "CMartletKernels"],
            swiftSettings: swift),
        .target(
            name: "MartletCUDA",
            dependencies: ["MartletCPU", "MartletTensor", "MartletParallel", "MartletCore", "CCUDA"],
            swiftSettings: swift),

        // Tokens to people.
        .target(
            name: "MartletServer",
            dependencies: [
                "MartletEngine", "MartletText", "MartletVision", "MartletCore",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ], swiftSettings: swift),
        .target(
            name: "MartletCommand",
            dependencies: [
                "MartletServer", "MartletEngine", "MartletModels", "MartletCUDA", "MartletCPU", "MartletParallel",
                "MartletText", "MartletVision", "MartletTensor", "MartletCore",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], swiftSettings: swift),
        .executableTarget(
            name: "martlet",
            dependencies: [
                "MartletCommand", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: swift),

        // Tests mirror Sources.
        .target(
            name: "MartletTestSupport",
            dependencies: [
                "MartletCUDA", "MartletEngine", "MartletParallel", "MartletTensor", "MartletCore", "CCUDA",
                "CUDAEmulation",
            ],
            path: "Tests/MartletTestSupport", swiftSettings: swift),
        .testTarget(name: "MartletCoreTests", dependencies: ["MartletCore"], swiftSettings: swift),
        .testTarget(
            name: "MartletTensorTests", dependencies: ["MartletTensor", "MartletCore", "MartletTestSupport"],
            swiftSettings: swift),
        .testTarget(
            name: "MartletTextTests", dependencies: ["MartletText", "MartletCore"],
            exclude: ["Fixtures"], swiftSettings: swift),
        .testTarget(
            name: "MartletVisionTests", dependencies: ["MartletVision", "MartletCore", "MartletTestSupport"],
            exclude: ["Fixtures"], swiftSettings: swift),
        .testTarget(
            name: "MartletEngineTests", dependencies: ["MartletEngine", "MartletCore", "MartletTestSupport"],
            swiftSettings: swift),
        .testTarget(
            name: "MartletCPUTests",
            dependencies: ["MartletCPU", "MartletTensor", "MartletCore", "CMartletKernels", "MartletTestSupport"],
            swiftSettings: swift),
        // The kernels of CCUDA as C++, and NVIDIA's libraries on the host. No contraction: NVRTC is told the same.
        .target(
            name: "CUDAEmulation", dependencies: ["CCUDA"], path: "Tests/CUDAEmulation", exclude: ["probes/probes.cu"],
            cxxSettings: [
                .headerSearchPath("."), .headerSearchPath("../../Sources/CCUDA/kernels"),
                .headerSearchPath("../../Sources/CCUDA/include"), .define("MARTLET_EMULATED"),
                .unsafeFlags(["-O2", "-ffp-contract=off"]),
            ]),
        .testTarget(
            name: "MartletCUDATests",
            dependencies: [
                "MartletCUDA", "MartletCPU", "MartletParallel", "MartletTensor", "MartletCore", "CCUDA",
                "CUDAEmulation", "CMartletKernels", "MartletTestSupport",
            ],
            swiftSettings: swift),
        .testTarget(
            name: "MartletParallelTests",
            dependencies: ["MartletParallel", "MartletCore", "CMPI", "MartletTestSupport"], swiftSettings: swift),
        .testTarget(
            name: "MartletModelsTests",
            dependencies: [
                "MartletModels", "MartletCUDA", "MartletCPU", "MartletParallel", "MartletVision", "MartletEngine",
                "MartletTensor", "MartletCore", "MartletTestSupport",
            ],
            exclude: ["Fixtures"], swiftSettings: swift),
        .testTarget(
            name: "MartletServerTests",
            dependencies: [
                "MartletServer", "MartletEngine", "MartletText", "MartletVision", "MartletCore", "MartletTestSupport",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], swiftSettings: swift),
        .testTarget(
            name: "MartletCommandTests",
            dependencies: [
                "MartletCommand", "MartletServer", "MartletEngine", "MartletModels", "MartletCUDA", "MartletCPU",
                "MartletText", "MartletVision", "MartletTensor", "MartletCore", "MartletTestSupport",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: swift),

        // The style law, and that the documents are true.
        .testTarget(name: "TidyTests", swiftSettings: swift),
    ],
    cxxLanguageStandard: .cxx17
)
