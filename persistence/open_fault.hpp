#pragma once

#include <string>

#include <boost/system/result.hpp>

#include "persistence/file_system.hpp"

namespace locker::persistence {

/// Why a store, or a file of it, cannot be opened or made.
struct OpenFault {
  enum class Kind {
    in_use,        ///< Another process has it.
    damaged,       ///< What was acknowledged cannot be read any more.
    newer_format,  ///< Written by a newer version.
    not_a_store,   ///< Something else is there.
    unreadable,    ///< The disk does not give back a part of a file.
    disk_full,     ///< There is no room for what has to be written.
    io,            ///< The system refused a call.
  };
  Kind kind = Kind::io;
  std::string message;               ///< Sentences that name the file, and what to do.
  boost::system::error_code code{};  ///< What the system said, if it was asked.
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
