// Open MPI, found when it is asked for: a table of its functions, and the handles they take. Nothing of it is needed to
// build. The table is also the seam for tests, which fill it with functions of their own.
#ifndef MARTLET_CMPI_H
#define MARTLET_CMPI_H
#include <stddef.h>
#pragma clang assume_nonnull begin

/// In Open MPI a handle is the address of an object; functions give 0 (MPI_SUCCESS) or what went wrong.
typedef void *martlet_mpi_handle;

/// Once filled it does not change: Swift may share it.
typedef struct __attribute__((swift_attr("@Sendable"))) {
    /// MPI_COMM_WORLD, MPI_BYTE and MPI_ERRORS_RETURN.
    martlet_mpi_handle world, byte, errors_return;
    int (*init_thread)(int *_Nullable count, char *_Nullable *_Nullable *_Nullable arguments, int required,
                       int *provided);
    int (*finalize)(void);
    int (*set_error_handler)(martlet_mpi_handle communicator, martlet_mpi_handle handler);
    int (*rank)(martlet_mpi_handle communicator, int *rank);
    int (*size)(martlet_mpi_handle communicator, int *size);
    int (*send)(const void *_Nullable bytes, int count, martlet_mpi_handle type, int target, int tag,
                martlet_mpi_handle communicator, martlet_mpi_handle _Nullable *_Nonnull request);
    int (*receive)(void *_Nullable bytes, int count, martlet_mpi_handle type, int source, int tag,
                   martlet_mpi_handle communicator, martlet_mpi_handle _Nullable *_Nonnull request);
    /// `status`: NULL is MPI_STATUS_IGNORE.
    int (*test)(martlet_mpi_handle _Nullable *_Nonnull request, int *is_done, void *_Nullable status);
} martlet_mpi;

/// MPI_THREAD_SERIALIZED: any thread may call, one at a time.
enum { MARTLET_MPI_SERIALIZED = 2 };

typedef enum { MARTLET_MPI_FOUND, MARTLET_MPI_MISSING, MARTLET_MPI_FOREIGN } martlet_mpi_search;

/// Fills `table` from the library at `path`, or from the one that the system finds (NULL). MISSING: there is none;
/// FOREIGN: it is not Open MPI. `detail` then has the system's words, or the name that is not there. The library stays
/// loaded.
martlet_mpi_search martlet_mpi_load(const char *_Nullable path, martlet_mpi *table, char *detail, size_t capacity);

#pragma clang assume_nonnull end
#endif
