#include "client/command/waiting_line.hpp"

#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>

#include "client/command/terminal_text.hpp"
#include "client/library/run_to_end.hpp"

namespace locker::client {
namespace {

constexpr milliseconds silent_for{300};
constexpr milliseconds interval{2'000};
constexpr milliseconds timeout{5'000};

/// What is in the way: a holder, else a lock that covers the path, else the first waiter.
std::optional<boost::json::object> reason_of(const boost::json::object& state) {
  for (const char* const name : {"holders", "covered_by", "awaited_by", "waiters"}) {
    const boost::json::array list = list_field(state, name);
    if (!list.empty() && list.front().is_object()) return list.front().get_object();
  }
  return std::nullopt;
}

/// "number 3 of 5 in line".
std::string place_of(const boost::json::object& state, const std::string& owner) {
  std::string place;
  for (const auto& waiter : list_field(state, "waiters")) {
    if (waiter.is_object() && text_field(waiter.get_object(), "owner") == printable(owner)) {
      place = text_field(waiter.get_object(), "place");
    }
  }
  const std::string count = text_field(state, "waiter_count");
  if (place.empty()) return count.empty() || count == "0" ? "" : count + " in line";
  return "number " + place + " of " + count + " in line";
}

/// "held by ci-7", or "/ci is held by ci-7" if the lock is at another path.
std::string who_of(const boost::json::object& reason, const std::string& wanted_path) {
  const std::string at = text_field(reason, "path");
  const bool waits = text_field(reason, "state") == "waiting";
  std::string who = at == wanted_path ? "" : at + " ";
  who += (waits               ? "wanted earlier by "
          : at != wanted_path ? "is held by "
                              : "held by ") +
         text_field(reason, "owner");
  // The server cannot see this deadlock: that `locker run` waits for the command we are part of.
  const char* const around = std::getenv("LOCKER_FENCE");
  if (around != nullptr && text_field(reason, "fence") == around) {
    who +=
        ", the `locker run` around this command (`locker acquire --token $LOCKER_TOKEN` joins it),";
  }
  return who;
}

/// " for 12s, at most 20s more unless renewed".
std::string time_of(const boost::json::object& reason) {
  const bool waits = text_field(reason, "state") == "waiting";
  std::string time = " for " + duration_field(reason, waits ? "waiting_ms" : "held_ms");
  if (const std::string left = duration_field(reason, "expires_in_ms"); left != "-") {
    time += ", at most " + left + " more unless renewed";
  }
  return time;
}

}  // namespace

WaitingLine::WaitingLine(net::io_context& io_context, const ServerAddress& server,
                         const Wanted& wanted)
    : client_(io_context, server),
      timer_(io_context),
      look_(look_call(wanted.paths.front())),
      path_(url_path(wanted.paths.front())),
      owner_(wanted.owner),
      is_terminal_(::isatty(STDERR_FILENO) != 0) {}

void WaitingLine::say(const std::string& text, const std::string& same) {
  if (is_terminal_) {
    std::cerr << "\r\x1b[K"
              << "locker: " << text << std::flush;
  } else if (same != said_) {
    std::cerr << "locker: " << text << std::endl;
  }
  said_ = same;
}

void WaitingLine::say_trouble(const Failure& failure) {
  if (is_stopped_) return;
  const std::string text = failure.message + " Trying again.";
  say(printable(text), text);
}

void WaitingLine::stop() {
  if (std::exchange(is_stopped_, true)) return;
  timer_.cancel();
  client_.close();
  if (is_terminal_ && !said_.empty()) std::cerr << "\r\x1b[K" << std::flush;
}

net::awaitable<void> WaitingLine::async_run() {
  for (milliseconds pause = silent_for;; pause = interval) {
    timer_.expires_after(pause);
    auto [cancelled] = co_await timer_.async_wait(net::as_tuple(net::use_awaitable));
    if (cancelled || is_stopped_) co_return;
    Result<Reply> answered = co_await client_.async_call(look_, timeout);
    if (is_stopped_) co_return;
    if (!answered) {  // only this look is sure to be repeated
      say(printable(answered.error().message), answered.error().message);
    }
    if (!answered || answered->status != 200) continue;
    const boost::json::object state = answered->json();
    const auto reason = reason_of(state);
    if (!reason) continue;
    const std::string who = "waiting for " + path_ + ": " + who_of(*reason, path_);
    const std::string place = place_of(state, owner_);
    say(who + time_of(*reason) + (place.empty() ? "" : "; " + place), who + place);
  }
}

Result<Grant> acquire_and_say(const ServerAddress& server, const Wanted& wanted,
                              Acquisition::Options how, bool says) {
  net::io_context io_context{1};
  HttpClient client{io_context, server};
  WaitingLine line{io_context, server, wanted};
  if (says) how.on_trouble = [&line](const Failure& failure) { line.say_trouble(failure); };
  Acquisition acquisition{client, wanted, std::move(how)};
  std::optional<Result<Grant>> granted;
  net::co_spawn(io_context, acquisition.async_run(),
                [&](const std::exception_ptr& error, Result<Grant> result) {
                  line.stop();
                  rethrow(error);
                  granted.emplace(std::move(result));
                });
  if (says) {
    net::co_spawn(io_context, line.async_run(), rethrow);
  }
  io_context.run();
  return std::move(*granted);
}

}  // namespace locker::client
