#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/histories/choices.hpp"
#include "tests/histories/history.hpp"
#include "tests/histories/http_connection.hpp"

namespace locker::histories {

/// What all clients of a run have in common.
struct TortureRun {
  net::io_context& io_context;
  std::uint16_t port = 0;
  std::uint64_t seed = 0;
  double pace_ms = 20;  ///< How long a client thinks between two things, on average.
  std::function<void(const Operation&)> on_operation;
  bool is_over = false;
  std::vector<std::string> owners;                    ///< By client: of the lease it had last.
  std::vector<std::pair<std::string, Fence>> grants;  ///< By client: path and fence of the last.
  std::vector<std::string> doing;                     ///< By client: the request under way.
};

/// One client: takes locks in every way there is, holds, loses and gives them back, looks, loses
/// replies and asks again, leaves while it waits, sleeps longer than its lease lives. Never sends
/// two requests at once. Every lock it takes has a TTL or is released before it ends.
class TortureClient {
 public:
  TortureClient(TortureRun& run, unsigned number);
  [[nodiscard]] net::awaitable<void> live();

 private:
  struct Lease {
    std::string token;  // empty: the server is to choose it
    std::string owner;
    std::optional<std::int64_t> ttl_ms;
    std::vector<Wanted> held;
    bool is_over = false;    // lost, or it is not known what became of it
    bool is_opened = false;  // by itself: it lives without locks
  };

  [[nodiscard]] net::awaitable<Operation> ask(Operation operation, bool may_lose_the_reply);
  net::awaitable<Operation> ask_until_answered(Operation operation, bool may_lose_the_reply = true);
  [[nodiscard]] net::awaitable<void> use_lease(bool opens_it);
  [[nodiscard]] net::awaitable<void> take(Lease& lease);
  [[nodiscard]] net::awaitable<void> use_held(Lease& lease);
  [[nodiscard]] net::awaitable<void> change_mode(Lease& lease);
  [[nodiscard]] net::awaitable<void> end(Lease& lease);
  [[nodiscard]] net::awaitable<void> release_each(Lease& lease);
  [[nodiscard]] net::awaitable<void> use_legacy_calls();
  [[nodiscard]] net::awaitable<void> look_around();
  [[nodiscard]] net::awaitable<void> force();
  [[nodiscard]] Operation about(const Lease& lease, Kind kind) const;
  [[nodiscard]] std::string fresh_owner();
  [[nodiscard]] Lease fresh_lease();

  TortureRun& run_;
  const unsigned number_;
  Choices choices_;
  HttpConnection connection_;
  unsigned leases_ = 0;
};

}  // namespace locker::histories
