// What the emulated compiler makes of a source, and the emulated driver loads: the name of the file whose kernels were
// compiled into this program from the very same source.
#ifndef MARTLET_IMAGE_H
#define MARTLET_IMAGE_H
#include <string>

namespace emulation {

struct image {
    int architecture;
    std::string file;
};

std::string write_image(const image &image);
/// Whether `bytes` begin as an image does.
bool read_image(const char *bytes, image &image);

}  // namespace emulation
#endif
