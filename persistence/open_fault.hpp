#pragma once

#include <string>

#include <boost/system/result.hpp>

#include "persistence/file_system.hpp"

namespace locker::persistence {

/// The reason why a store, or one of its files, cannot be opened or created.
struct OpenFault {
  enum class Kind {
    in_use,        ///< Another process has the store open.
    damaged,       ///< Acknowledged records cannot be read.
    newer_format,  ///< Written by a newer version.
    not_a_store,   ///< Something other than a store is there.
    unreadable,    ///< A part of a file cannot be read.
    disk_full,     ///< There is no room for what must be written.
    io,            ///< A system call failed.
  };
  Kind kind = Kind::io;
  std::string message;               ///< Sentences that name the file and the remedy.
  boost::system::error_code code{};  ///< The system's error, if there was one.
};

template <typename T>
using OpenResult = boost::system::result<T, OpenFault>;

[[nodiscard]] inline OpenFault open_fault(const IoError& error) {
  using Kind = OpenFault::Kind;
  const Kind kind = is_full_disk(error) ? Kind::disk_full
                    : error.of_reading  ? Kind::unreadable
                                        : Kind::io;
  return {kind, error.message + ".", error.code};
}

}  // namespace locker::persistence
