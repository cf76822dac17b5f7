#pragma once

#include <cstdint>
#include <string>

#include <boost/json/object.hpp>
#include <boost/system/result.hpp>

namespace locker::client {

/// Why a call failed.
struct Failure {
  enum class Kind : std::uint8_t {
    unreachable,   ///< No answer, or not Locker's. The request may have been carried out.
    not_acquired,  ///< Another holder or waiter is in the way, or was until the wait ended.
    deadlock,      ///< Waiting would never end.
    lost,          ///< The lease has ended, or may have.
    refused,       ///< Any other error, of the server or of the client's own; see `code`.
  };
  Kind kind = Kind::refused;
  unsigned status = 0;  ///< The HTTP status; 0 if there was no answer.
  /// The API's error code, such as "locked" (server/API.md), or the client's, such as "bad_url".
  std::string code = {};
  std::string message = {};      ///< A sentence for people; says what to do.
  boost::json::object answer{};  ///< The server's whole answer, with fields such as `blocked_by`.
};

/// A value or a Failure. value() throws std::runtime_error with the failure's message if there is
/// no value; operator* and operator-> do not check.
template <typename T>
using Result = boost::system::result<T, Failure>;

/// Result::value() calls this if there is no value. Throws std::runtime_error with the message.
[[noreturn]] void throw_exception_from_error(const Failure& failure,
                                             const boost::source_location& where);

}  // namespace locker::client
