// The kernels' sources, carried in the program: they are compiled for the GPU that is found.
#pragma clang diagnostic ignored "-Wc23-extensions"
#include "CCUDA.h"

static const char CCUDASampling_h[] = {
#embed "include/CCUDASampling.h"
    , 0};
static const char activation_cu[] = {
#embed "kernels/activation.cu"
    , 0};
static const char attention_cu[] = {
#embed "kernels/attention.cu"
    , 0};
static const char attention_bytes_cu[] = {
#embed "kernels/attention_bytes.cu"
    , 0};
static const char attention_plain_cu[] = {
#embed "kernels/attention_plain.cu"
    , 0};
static const char block_sums_cuh[] = {
#embed "kernels/block_sums.cuh"
    , 0};
static const char blocks_cuh[] = {
#embed "kernels/blocks.cuh"
    , 0};
static const char cache_rows_cuh[] = {
#embed "kernels/cache_rows.cuh"
    , 0};
static const char collectives_cu[] = {
#embed "kernels/collectives.cu"
    , 0};
static const char conversion_cu[] = {
#embed "kernels/conversion.cu"
    , 0};
static const char device_cuh[] = {
#embed "kernels/device.cuh"
    , 0};
static const char device_ptx_cuh[] = {
#embed "kernels/device_ptx.cuh"
    , 0};
static const char eight_bits_cuh[] = {
#embed "kernels/eight_bits.cuh"
    , 0};
static const char fragments_cuh[] = {
#embed "kernels/fragments.cuh"
    , 0};
static const char full_attention_cu[] = {
#embed "kernels/full_attention.cu"
    , 0};
static const char normalization_cu[] = {
#embed "kernels/normalization.cu"
    , 0};
static const char paged_attention_cuh[] = {
#embed "kernels/paged_attention.cuh"
    , 0};
static const char plain_attention_cuh[] = {
#embed "kernels/plain_attention.cuh"
    , 0};
static const char products_cu[] = {
#embed "kernels/products.cu"
    , 0};
static const char products_cuh[] = {
#embed "kernels/products.cuh"
    , 0};
static const char products_k_cu[] = {
#embed "kernels/products_k.cu"
    , 0};
static const char products_q4_cu[] = {
#embed "kernels/products_q4.cu"
    , 0};
static const char products_q5_cu[] = {
#embed "kernels/products_q5.cu"
    , 0};
static const char products_q8_cu[] = {
#embed "kernels/products_q8.cu"
    , 0};
static const char query_limits_cuh[] = {
#embed "kernels/query_limits.cuh"
    , 0};
static const char query_tile_cuh[] = {
#embed "kernels/query_tile.cuh"
    , 0};
static const char reduction_cuh[] = {
#embed "kernels/reduction.cuh"
    , 0};
static const char rotary_cu[] = {
#embed "kernels/rotary.cu"
    , 0};
static const char rows_cu[] = {
#embed "kernels/rows.cu"
    , 0};
static const char sampling_cu[] = {
#embed "kernels/sampling.cu"
    , 0};
static const char selection_cuh[] = {
#embed "kernels/selection.cuh"
    , 0};
static const char silu_cuh[] = {
#embed "kernels/silu.cuh"
    , 0};
static const char softmax_cuh[] = {
#embed "kernels/softmax.cuh"
    , 0};
static const char streamed_attention_cuh[] = {
#embed "kernels/streamed_attention.cuh"
    , 0};
static const char tile_source_cuh[] = {
#embed "kernels/tile_source.cuh"
    , 0};
static const char tiled_attention_cuh[] = {
#embed "kernels/tiled_attention.cuh"
    , 0};
static const char vision_cu[] = {
#embed "kernels/vision.cu"
    , 0};

static const martlet_cuda_source sources[] = {
    {"CCUDASampling.h", CCUDASampling_h},
    {"activation.cu", activation_cu},
    {"attention.cu", attention_cu},
    {"attention_bytes.cu", attention_bytes_cu},
    {"attention_plain.cu", attention_plain_cu},
    {"block_sums.cuh", block_sums_cuh},
    {"blocks.cuh", blocks_cuh},
    {"cache_rows.cuh", cache_rows_cuh},
    {"collectives.cu", collectives_cu},
    {"conversion.cu", conversion_cu},
    {"device.cuh", device_cuh},
    {"device_ptx.cuh", device_ptx_cuh},
    {"eight_bits.cuh", eight_bits_cuh},
    {"fragments.cuh", fragments_cuh},
    {"full_attention.cu", full_attention_cu},
    {"normalization.cu", normalization_cu},
    {"paged_attention.cuh", paged_attention_cuh},
    {"plain_attention.cuh", plain_attention_cuh},
    {"products.cu", products_cu},
    {"products.cuh", products_cuh},
    {"products_k.cu", products_k_cu},
    {"products_q4.cu", products_q4_cu},
    {"products_q5.cu", products_q5_cu},
    {"products_q8.cu", products_q8_cu},
    {"query_limits.cuh", query_limits_cuh},
    {"query_tile.cuh", query_tile_cuh},
    {"reduction.cuh", reduction_cuh},
    {"rotary.cu", rotary_cu},
    {"rows.cu", rows_cu},
    {"sampling.cu", sampling_cu},
    {"selection.cuh", selection_cuh},
    {"silu.cuh", silu_cuh},
    {"softmax.cuh", softmax_cuh},
    {"streamed_attention.cuh", streamed_attention_cuh},
    {"tile_source.cuh", tile_source_cuh},
    {"tiled_attention.cuh", tiled_attention_cuh},
    {"vision.cu", vision_cu},
};

const martlet_cuda_source *martlet_cuda_sources(size_t *count) {
    *count = sizeof sources / sizeof *sources;
    return sources;
}
