#pragma once

#include <cstdint>
#include <string>

#include <boost/json/object.hpp>
#include <boost/system/result.hpp>

namespace locker::client {

/// Why a call has no result.
struct Failure {
  enum class Kind : std::uint8_t {
    unreachable,   ///< No answer, or none that is Locker's. It may have been carried out.
    not_acquired,  ///< Somebody is in the way, or was until the wait ended.
    deadlock,      ///< To wait would never end.
    lost,          ///< The lease has ended, or can have.
    refused,       ///< Everything else that the server said; `code` tells.
  };
  Kind kind = Kind::refused;
  unsigned status = 0;           ///< Of HTTP; zero: there was no answer.
  std::string code = {};         ///< The server's, such as "locked"; see server/API.md.
  std::string message = {};      ///< A sentence that says what to do.
  boost::json::object answer{};  ///< All that the server said, such as `blocked_by`.
};

template <typename T>
using Result = boost::system::result<T, Failure>;

/// What Result::value() throws: std::runtime_error with the message.
[[noreturn]] void throw_exception_from_error(const Failure& failure,
                                             const boost::source_location& where);

}  // namespace locker::client
