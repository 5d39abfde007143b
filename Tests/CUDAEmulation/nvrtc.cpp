// NVRTC: what it compiles are the sources that this program carries, so that it need only tell which one it was given.
#include <cstring>
#include <regex>
#include <set>

#include "image.h"
#include "machine.h"

namespace emulation::emulated {

static machine &here() { return machine::current(); }

static const int architectures[] = {80, 86, 87, 89, 90, 100, 120};

nvrtcResult nvrtcVersion(int *major, int *minor) {
    *major = here().options.driver_version / 1000;
    *minor = here().options.driver_version % 1000 / 10;
    return NVRTC_SUCCESS;
}

const char *nvrtcGetErrorString(nvrtcResult result) {
    switch (result) {
    case NVRTC_SUCCESS: return "NVRTC_SUCCESS";
    case NVRTC_ERROR_COMPILATION: return "NVRTC_ERROR_COMPILATION";
    case NVRTC_ERROR_INVALID_OPTION: return "NVRTC_ERROR_INVALID_OPTION";
    case NVRTC_ERROR_INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
    default: return "NVRTC_ERROR unknown";
    }
}

nvrtcResult nvrtcGetNumSupportedArchs(int *count) {
    *count = int(sizeof architectures / sizeof *architectures);
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetSupportedArchs(int *supported) {
    memcpy(supported, architectures, sizeof architectures);
    return NVRTC_SUCCESS;
}

/// The .cu file of the program under test with this text, or else one of the tests' own, told by its name.
static std::string file_of(const std::string &source, const char *name) {
    size_t count = 0;
    const martlet_cuda_source *sources = martlet_cuda_sources(&count);
    for (size_t index = 0; index < count; index++) {
        if (source == sources[index].text) return sources[index].name;
        if (name && strcmp(name, sources[index].name) == 0) return "";
    }
    return name ? name : "";
}

nvrtcResult nvrtcCreateProgram(nvrtcProgram *program, const char *source, const char *name, int header_count,
                               const char *const *headers, const char *const *header_names) {
    _nvrtcProgram made;
    made.source = source;
    made.file = file_of(source, name);
    for (int index = 0; index < header_count; index++) {
        if (!headers[index] || !header_names[index]) return NVRTC_ERROR_INVALID_INPUT;
        made.headers.emplace_back(header_names[index], headers[index]);
    }
    *program = here().programs.make(std::move(made));
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcDestroyProgram(nvrtcProgram *program) {
    if (!here().programs.destroy(*program)) return NVRTC_ERROR_INVALID_PROGRAM;
    *program = nullptr;
    return NVRTC_SUCCESS;
}

/// Complains in the log of files that a text includes, other than for the emulation, and that were not given.
static void find_headers(_nvrtcProgram &program, const std::string &text, std::set<std::string> &seen) {
    static const std::regex include("#include [<\"]([^>\"]+)[>\"]");
    for (std::sregex_iterator match(text.begin(), text.end(), include), end; match != end; ++match) {
        const std::string name = (*match)[1];
        if (name == "device_emulation.h" || !seen.insert(name).second) continue;
        const std::string *found = nullptr;
        for (const auto &header : program.headers)
            if (header.first == name) found = &header.second;
        if (found) {
            find_headers(program, *found, seen);
        } else {
            program.log += "cannot open source file \"" + name + "\"\n";
        }
    }
}

nvrtcResult nvrtcCompileProgram(nvrtcProgram program, int option_count, const char *const *options) {
    if (!here().programs.has(program)) return NVRTC_ERROR_INVALID_PROGRAM;
    static const std::string target = "--gpu-architecture=sm_";
    static const std::set<std::string> known = {"--fmad=false", "--std=c++17", "--use_fast_math=false"};
    int architecture = 0;
    for (int index = 0; index < option_count; index++) {
        const std::string option = options[index];
        if (option.compare(0, target.size(), target) == 0) {
            architecture = atoi(option.c_str() + target.size());
        } else if (!known.count(option)) {
            program->log = "unrecognized option " + option + "\n";
            return NVRTC_ERROR_INVALID_OPTION;
        }
    }
    bool is_supported = false;
    for (int each : architectures) is_supported |= each == architecture;
    if (!is_supported) return NVRTC_ERROR_INVALID_OPTION;
    std::set<std::string> seen;
    find_headers(*program, program->source, seen);
    if (program->file.empty()) program->log += "this source is not the one that the emulation was built with\n";
    if (!program->log.empty()) return NVRTC_ERROR_COMPILATION;
    program->image = write_image({architecture, program->file});
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t *bytes) {
    if (!here().programs.has(program)) return NVRTC_ERROR_INVALID_PROGRAM;
    *bytes = program->image.empty() ? 0 : program->image.size() + 1;
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char *image) {
    if (!here().programs.has(program)) return NVRTC_ERROR_INVALID_PROGRAM;
    if (!program->image.empty()) memcpy(image, program->image.c_str(), program->image.size() + 1);
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t *bytes) {
    if (!here().programs.has(program)) return NVRTC_ERROR_INVALID_PROGRAM;
    *bytes = program->log.size() + 1;
    return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char *log) {
    if (!here().programs.has(program)) return NVRTC_ERROR_INVALID_PROGRAM;
    memcpy(log, program->log.c_str(), program->log.size() + 1);
    return NVRTC_SUCCESS;
}

}  // namespace emulation::emulated
