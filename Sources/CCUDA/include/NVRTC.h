// What is used of NVRTC, the compiler of kernels at run time, as nvrtc.h declares it.
#ifndef MARTLET_NVRTC_H
#define MARTLET_NVRTC_H
#include <stddef.h>
#pragma clang assume_nonnull begin

typedef struct _nvrtcProgram *nvrtcProgram;

typedef enum {
    NVRTC_SUCCESS = 0,
    NVRTC_ERROR_OUT_OF_MEMORY = 1,
    NVRTC_ERROR_PROGRAM_CREATION_FAILURE = 2,
    NVRTC_ERROR_INVALID_INPUT = 3,
    NVRTC_ERROR_INVALID_PROGRAM = 4,
    NVRTC_ERROR_INVALID_OPTION = 5,
    NVRTC_ERROR_COMPILATION = 6,
} nvrtcResult;

/// F(result, name, parameters). Headers are given by the names that sources include them by.
#define MARTLET_NVRTC_FUNCTIONS(F)                                                                                \
    F(nvrtcResult, nvrtcVersion, (int *major, int *minor))                                                        \
    F(const char *_Nullable, nvrtcGetErrorString, (nvrtcResult result))                                           \
    F(nvrtcResult, nvrtcGetNumSupportedArchs, (int *count))                                                       \
    F(nvrtcResult, nvrtcGetSupportedArchs, (int *architectures))                                                  \
    F(nvrtcResult, nvrtcCreateProgram,                                                                            \
      (nvrtcProgram _Nullable *_Nonnull program, const char *source, const char *_Nullable name, int header_count, \
       const char *_Nullable const *_Nullable headers, const char *_Nullable const *_Nullable header_names))      \
    F(nvrtcResult, nvrtcDestroyProgram, (nvrtcProgram _Nullable *_Nonnull program))                               \
    F(nvrtcResult, nvrtcCompileProgram,                                                                           \
      (nvrtcProgram program, int option_count, const char *_Nullable const *_Nullable options))                   \
    F(nvrtcResult, nvrtcGetCUBINSize, (nvrtcProgram program, size_t *bytes))                                      \
    F(nvrtcResult, nvrtcGetCUBIN, (nvrtcProgram program, char *image))                                            \
    F(nvrtcResult, nvrtcGetProgramLogSize, (nvrtcProgram program, size_t *bytes))                                 \
    F(nvrtcResult, nvrtcGetProgramLog, (nvrtcProgram program, char *log))

#define MARTLET_FIELD(result, name, parameters) result (*_Nonnull name) parameters;
typedef struct __attribute__((swift_attr("@Sendable"))) {
    MARTLET_NVRTC_FUNCTIONS(MARTLET_FIELD)
} martlet_nvrtc;
#undef MARTLET_FIELD

#pragma clang assume_nonnull end
#endif
