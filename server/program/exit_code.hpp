#pragma once

namespace locker::server {

/// What lockerd's exit code means; the numbers are those of BSD's sysexits.h.
enum class ExitCode : int {
  ok = 0,
  usage = 64,        ///< An option is wrong.
  unavailable = 69,  ///< The address cannot be listened on.
  resources = 71,    ///< The system gives no memory, threads or descriptors.
  in_use = 73,       ///< Another process has the store.
  disk = 74,         ///< Reading, writing or syncing the store failed, or its directory is gone.
  damaged = 78,      ///< The store is damaged, of a newer format, or no store.
  misconfigured = damaged,  ///< There is a mistake in the key file, or no audit log can be written.
};

}  // namespace locker::server
