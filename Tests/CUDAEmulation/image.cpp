#include "image.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emulation {

static const char magic[] = "martlet emulated cubin sm_";

std::string write_image(const image &image) {
    return magic + std::to_string(image.architecture) + " " + image.file + "\n";
}

bool read_image(const char *bytes, image &image) {
    if (strncmp(bytes, magic, sizeof magic - 1) != 0) return false;
    char *rest = nullptr;
    image.architecture = int(strtol(bytes + sizeof magic - 1, &rest, 10));
    const char *end = strchr(rest, '\n');
    if (*rest != ' ' || !end) return false;
    image.file = std::string(rest + 1, size_t(end - rest - 1));
    return true;
}

}  // namespace emulation
