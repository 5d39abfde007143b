#include "matrix_product.h"

#include "machine.h"
#include "numbers.h"

namespace emulation {

static element element_of(cudaDataType type) {
    switch (type) {
    case CUDA_R_32F: return element::f32;
    case CUDA_R_16F: return element::f16;
    case CUDA_R_16BF: return element::bf16;
    case CUDA_R_8I: return element::i8;
    case CUDA_R_32I: return element::i32;
    case CUDA_R_8F_E4M3: return element::e4m3;
    }
    __builtin_trap();
}

size_t stored_matrix::bytes() const {
    const uint64_t last = (layout.columns - 1) * uint64_t(layout.leading_dimension) + layout.rows +
                          uint64_t(layout.batch_count - 1) * uint64_t(layout.batch_stride);
    return last * size_of(element_of(layout.type));
}

bool matrix_product::has_matching_shapes() const {
    for (const stored_matrix *matrix : {&b, &c, &d})
        if (matrix->layout.batch_count != a.layout.batch_count) return false;
    return a.columns() == b.rows() && a.rows() == d.rows() && b.columns() == d.columns() && c.rows() == d.rows() &&
           c.columns() == d.columns() && a.layout.batch_count > 0;
}

bool matrix_product::is_in_memory(const machine &machine) const {
    const size_t bias_bytes = d.rows() * size_of(element_of(d.layout.type));
    for (const stored_matrix *matrix : {&a, &b, &d})
        if (!machine.is_device_memory(matrix->address, matrix->bytes())) return false;
    return (beta == 0 || machine.is_device_memory(c.address, c.bytes())) &&
           (bias == 0 || machine.is_device_memory(bias, bias_bytes)) &&
           (workspace_bytes == 0 || machine.is_device_memory(workspace, workspace_bytes));
}

/// [columns of the result][K] for either side: K runs along memory.
static std::vector<float> gathered(const stored_matrix &matrix, bool is_left, uint64_t batch) {
    const element type = element_of(matrix.layout.type);
    const uint64_t depth = is_left ? matrix.columns() : matrix.rows();
    const uint64_t count = is_left ? matrix.rows() : matrix.columns();
    const uint64_t leading = uint64_t(matrix.layout.leading_dimension);
    // Along K, memory is stepped through one by one where that is the column of what is stored.
    const bool is_along = is_left == matrix.is_transposed;
    std::vector<float> values(count * depth);
    for (uint64_t index = 0; index < count; index++) {
        for (uint64_t k = 0; k < depth; k++) {
            const uint64_t place = is_along ? index * leading + k : k * leading + index;
            values[index * depth + k] = read_element(type, reinterpret_cast<const void *>(matrix.address),
                                                     batch * uint64_t(matrix.layout.batch_stride) + place);
        }
    }
    return values;
}

/// Of whole numbers.
static i32 whole_dot(const float *one, const float *other, uint64_t count) {
    i32 sum = 0;
    for (uint64_t k = 0; k < count; k++) sum += i32(one[k]) * i32(other[k]);
    return sum;
}

static float dot(const float *one, const float *other, uint64_t count) {
    float lanes[8] = {};
    uint64_t k = 0;
    for (; k + 8 <= count; k += 8)
        for (int lane = 0; lane < 8; lane++) lanes[lane] += one[k + uint64_t(lane)] * other[k + uint64_t(lane)];
    for (; k < count; k++) lanes[0] += one[k] * other[k];
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

void matrix_product::compute() const {
    const element type = element_of(d.layout.type);
    const uint64_t rows = d.rows(), columns = d.columns(), depth = a.columns();
    // The library leaves there what it likes.
    if (workspace_bytes) memset(reinterpret_cast<void *>(workspace), 0xff, workspace_bytes);
    for (uint64_t batch = 0; batch < uint64_t(a.layout.batch_count); batch++) {
        const std::vector<float> left = gathered(a, true, batch), right = gathered(b, false, batch);
        for (uint64_t column = 0; column < columns; column++) {
            for (uint64_t row = 0; row < rows; row++) {
                const auto place = [&](const stored_matrix &matrix) {
                    return batch * uint64_t(matrix.layout.batch_stride) +
                           column * uint64_t(matrix.layout.leading_dimension) + row;
                };
                if (type == element::i32) {
                    reinterpret_cast<i32 *>(d.address)[place(d)] =
                        whole_dot(&left[row * depth], &right[column * depth], depth);
                    continue;
                }
                float sum = alpha * dot(&left[row * depth], &right[column * depth], depth);
                if (beta != 0) sum += beta * read_element(type, reinterpret_cast<void *>(c.address), place(c));
                if (bias) sum += read_element(type, reinterpret_cast<void *>(bias), row);
                write_element(type, reinterpret_cast<void *>(d.address), place(d), sum);
            }
        }
    }
}

}  // namespace emulation
