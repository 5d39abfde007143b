#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "CCUDA.h"

/// Where a library may lie, and where to put what is said of it.
typedef struct {
    const char *const *folders;
    size_t folder_count;
    char *detail;
    size_t capacity;
} search;

/// Below a site-packages folder.
static const char *const package_folders[] = {
    "", "/nvidia/cuda_nvrtc/lib", "/nvidia/cublas/lib", "/nvidia/nccl/lib", "/nvidia/cu13/lib",
};

/// The library of this name, or NULL with the system's words.
static void *open_library(const search *search, const char *name) {
    void *library = dlopen(name, RTLD_NOW);
    if (library) return library;
    const char *reason = dlerror();
    snprintf(search->detail, search->capacity, "%s", reason ? reason : name);
    char path[4096];
    for (size_t folder = 0; folder < search->folder_count; folder++) {
        for (size_t below = 0; below < sizeof package_folders / sizeof *package_folders; below++) {
            const int length =
                snprintf(path, sizeof path, "%s%s/%s", search->folders[folder], package_folders[below], name);
            if (length >= (int)sizeof path) continue;
            library = dlopen(path, RTLD_NOW);
            if (library) return library;
        }
    }
    return NULL;
}

/// The library of CUDA 13 if the driver knows that, else of CUDA 12. The words are about the last that was tried.
static void *open_newest(const search *search, int driver_version, const char *name13, const char *name12) {
    void *library = driver_version >= 13000 ? open_library(search, name13) : NULL;
    return library ? library : open_library(search, name12);
}

static int find(const search *search, void *library, const char *symbol, void *place) {
    void *address = dlsym(library, symbol);
    if (!address) snprintf(search->detail, search->capacity, "%s", symbol);
    memcpy(place, &address, sizeof address);
    return address != NULL;
}

#define FIND_DRIVER(name, symbol, parameters) \
    if (!find(search, library, #symbol, &table->name)) return 0;
#define FIND(result, name, parameters) \
    if (!find(search, library, #name, &table->name)) return 0;

static int fill_driver(const search *search, void *library, martlet_driver *table) {
    MARTLET_DRIVER_FUNCTIONS(FIND_DRIVER)
    return 1;
}

static int fill_nvrtc(const search *search, void *library, martlet_nvrtc *table) {
    MARTLET_NVRTC_FUNCTIONS(FIND)
    return 1;
}

static int fill_cublaslt(const search *search, void *library, martlet_cublaslt *table) {
    MARTLET_CUBLASLT_FUNCTIONS(FIND)
    return 1;
}

static int fill_nccl(const search *search, void *library, martlet_nccl *table) {
    MARTLET_NCCL_FUNCTIONS(FIND)
    return 1;
}

/// The driver, and its version before anything that an old one might lack.
static martlet_cuda_search load_driver(const search *search, martlet_cuda *table) {
    void *library = open_library(search, "libcuda.so.1");
    if (!library) return MARTLET_CUDA_NO_DRIVER;
    if (!find(search, library, "cuDriverGetVersion", &table->driver.cuDriverGetVersion)) return MARTLET_CUDA_NO_SYMBOL;
    if (table->driver.cuDriverGetVersion(&table->driver_version) != CUDA_SUCCESS) table->driver_version = 0;
    if (table->driver_version < MARTLET_CUDA_LEAST_VERSION) {
        snprintf(search->detail, search->capacity, "%d.%d", table->driver_version / 1000,
                 table->driver_version % 1000 / 10);
        return MARTLET_CUDA_DRIVER_TOO_OLD;
    }
    if (!fill_driver(search, library, &table->driver)) return MARTLET_CUDA_NO_SYMBOL;
    const CUresult result = table->driver.cuInit(0);
    if (result == CUDA_SUCCESS) return MARTLET_CUDA_FOUND;
    const char *reason = NULL;
    if (table->driver.cuGetErrorString(result, &reason) != CUDA_SUCCESS || !reason) reason = "cuInit failed";
    snprintf(search->detail, search->capacity, "%s", reason);
    return MARTLET_CUDA_NO_DRIVER;
}

martlet_cuda_search martlet_cuda_load(const char *const *folders, size_t folder_count, martlet_cuda *table,
                                      char *detail, size_t capacity) {
    const search search = {folders, folder_count, detail, capacity};
    memset(table, 0, sizeof *table);
    const martlet_cuda_search driver = load_driver(&search, table);
    if (driver != MARTLET_CUDA_FOUND) return driver;
    void *library = open_newest(&search, table->driver_version, "libnvrtc.so.13", "libnvrtc.so.12");
    if (!library) return MARTLET_CUDA_NO_NVRTC;
    if (!fill_nvrtc(&search, library, &table->nvrtc)) return MARTLET_CUDA_NO_SYMBOL;
    library = open_newest(&search, table->driver_version, "libcublasLt.so.13", "libcublasLt.so.12");
    if (!library) return MARTLET_CUDA_NO_CUBLASLT;
    if (!fill_cublaslt(&search, library, &table->cublaslt)) return MARTLET_CUDA_NO_SYMBOL;
    library = open_library(&search, "libnccl.so.2");
    table->has_nccl = library && fill_nccl(&search, library, &table->nccl);
    return MARTLET_CUDA_FOUND;
}
