#include <dlfcn.h>
#include <stdio.h>

#include "CMPI.h"

/// Where an address of the library belongs in the table.
typedef struct {
    const char *name;
    void **place;
} entry;

static void *open_library(const char *path, char *detail, size_t capacity) {
    static const char *const names[] = {"libmpi.so.40", "libmpi.so", "libmpi.40.dylib", "libmpi.dylib"};
    size_t count = path ? 1 : sizeof names / sizeof *names;
    for (size_t index = 0; index < count; index++) {
        // Global, for the plugins that the library loads look for its symbols there.
        void *library = dlopen(path ? path : names[index], RTLD_NOW | RTLD_GLOBAL);
        if (library) return library;
        const char *reason = dlerror();
        if (index == 0) snprintf(detail, capacity, "%s", reason ? reason : names[index]);
    }
    return NULL;
}

martlet_mpi_search martlet_mpi_load(const char *path, martlet_mpi *table, char *detail, size_t capacity) {
    const entry entries[] = {
        {"ompi_mpi_comm_world", &table->world},
        {"ompi_mpi_byte", &table->byte},
        {"ompi_mpi_errors_return", &table->errors_return},
        {"MPI_Init_thread", (void **)&table->init_thread},
        {"MPI_Finalize", (void **)&table->finalize},
        {"MPI_Comm_set_errhandler", (void **)&table->set_error_handler},
        {"MPI_Comm_rank", (void **)&table->rank},
        {"MPI_Comm_size", (void **)&table->size},
        {"MPI_Isend", (void **)&table->send},
        {"MPI_Irecv", (void **)&table->receive},
        {"MPI_Test", (void **)&table->test},
    };
    void *library = open_library(path, detail, capacity);
    if (!library) return MARTLET_MPI_MISSING;
    for (size_t index = 0; index < sizeof entries / sizeof *entries; index++) {
        void *address = dlsym(library, entries[index].name);
        if (!address) {
            snprintf(detail, capacity, "%s", entries[index].name);
            return MARTLET_MPI_FOREIGN;
        }
        *entries[index].place = address;
    }
    return MARTLET_MPI_FOUND;
}
