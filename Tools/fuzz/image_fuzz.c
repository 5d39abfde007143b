// libFuzzer target over the picture decoders:
//   clang -g -O1 -fsanitize=fuzzer,address,undefined -ISources/CImage/include Sources/CImage/*.c
//       Tools/fuzz/image_fuzz.c -lpng -lturbojpeg -lwebp -lm -o image_fuzz
//   ./image_fuzz -max_len=65536 -timeout=5 CORPUS Tests/MartletVisionTests/Fixtures/images
#include "CImage.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct martlet_image_info info;
    if (martlet_image_probe(data, size, &info) != MARTLET_IMAGE_OK) return 0;
    if ((uint64_t)info.width * info.height > 1000000) return 0;
    size_t count = (size_t)info.width * info.height * 3;
    uint8_t *rgb = malloc(count), *other = malloc(28 * 56 * 3 > count ? 28 * 56 * 3 : count);
    if (rgb && other && martlet_image_decode(data, size, &info, rgb, count) == MARTLET_IMAGE_OK) {
        if (info.orientation > 1) martlet_image_orient(rgb, info.width, info.height, info.orientation, other);
        if (info.width < 2000 && info.height < 2000) {
            martlet_image_resize(rgb, info.width, info.height, other, 28, 56);
        }
    }
    free(rgb);
    free(other);
    return 0;
}
