#pragma once

#include "client/library/failure.hpp"

namespace locker::client {

/// The exit codes of `locker`, numbered as in BSD's sysexits.h where that has a code. `locker run`
/// ends with the command's own code if the command ran to its end.
enum class ExitCode : int {
  ok = 0,
  refused = 1,         ///< The server refused it; the message says why.
  usage = 64,          ///< An option or argument is wrong.
  unreachable = 69,    ///< No answer from the server.
  lost = 70,           ///< The lock was lost while it was held.
  no_resources = 71,   ///< Out of memory or open files.
  io = 74,             ///< The output could not be written.
  not_acquired = 75,   ///< Held by somebody else, or a deadlock. `run`: or refused.
  not_permitted = 77,  ///< The key is missing, or may not do this.
  cannot_run = 126,    ///< The command was found and cannot be run.
  not_found = 127,     ///< There is no such command.
};

constexpr int number(ExitCode code) { return static_cast<int>(code); }

[[nodiscard]] inline ExitCode exit_code_of(const Failure& failure) {
  switch (failure.kind) {
    case Failure::Kind::unreachable:
      return ExitCode::unreachable;
    case Failure::Kind::not_acquired:
    case Failure::Kind::deadlock:
      return ExitCode::not_acquired;
    case Failure::Kind::lost:
      return ExitCode::lost;
    case Failure::Kind::refused:
      break;
  }
  const bool is_used_wrongly = failure.status == 400 || failure.code == "bad_url" ||
                               failure.code == "bad_file" || failure.code == "bad_key";
  if (is_used_wrongly) return ExitCode::usage;
  const bool is_forbidden = failure.status == 401 || failure.status == 403;
  return is_forbidden ? ExitCode::not_permitted : ExitCode::refused;
}

/// For `run`, whose 1 is the command's code.
[[nodiscard]] inline ExitCode exit_code_without_running(const Failure& failure) {
  const ExitCode code = exit_code_of(failure);
  if (code != ExitCode::refused) return code;
  const bool is_wrong_url = failure.status == 404;
  return is_wrong_url ? ExitCode::usage : ExitCode::not_acquired;
}

}  // namespace locker::client
