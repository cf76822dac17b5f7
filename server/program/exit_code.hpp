#pragma once

namespace locker::server {

/// The exit codes of lockerd, with the numbers of BSD's sysexits.h.
enum class ExitCode : int {
  ok = 0,
  usage = 64,        ///< An invalid option.
  unavailable = 69,  ///< Cannot listen on the address.
  resources = 71,    ///< The system refuses memory, threads or descriptors.
  in_use = 73,       ///< Another process has the store open.
  disk = 74,         ///< Reading, writing or syncing the store failed, or its directory is gone.
  damaged = 78,      ///< The store is damaged, of a newer format, or not a store.
  misconfigured = damaged,  ///< A mistake in the key or TLS files, or no audit log.
};

}  // namespace locker::server
