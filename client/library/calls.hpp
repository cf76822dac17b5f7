#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/library/http_client.hpp"

namespace locker::client {

// Builders for the requests of /v1, and parsers for their answers; see server/API.md.

/// What to lock. Durations are texts in the API's notation: "500ms", "30s", "5m", "1h", "2d".
struct Wanted {
  std::vector<std::string> paths;  ///< As in a URL. Several are acquired in one step, all or none.
  unsigned any = 0;                ///< If not 0: this many of the paths, whichever are free first.
  bool shared = false;
  bool lock_parents = true;
  bool lock_children = true;
  std::string owner = {};
  std::string ttl = "30s";  ///< Duration. Empty: the joined lease's, else the server's default.
  std::string meta = {};
  std::string lock_delay = {};  ///< Duration: after an expiry or a force, keeps others out so long.
};

struct Grant {
  std::vector<std::string> paths;
  std::string token;
  std::string owner;
  std::uint64_t fence = 0;  ///< Fencing token.
  bool shared = false;
  std::optional<milliseconds> ttl;  ///< None: held until it is released.
  BootClock::time_point sent;       ///< When the request was sent; the TTL starts no earlier.
};

/// A random UUID, as the token of a new lease.
[[nodiscard]] std::string fresh_token();

/// Turns a path as people type it into a URL's: adds the leading slash and percent-encodes what a
/// URL cannot contain. Existing `%2F` and the like stay.
[[nodiscard]] std::string url_path(std::string_view typed);
/// Percent-encodes a text as the value of a query parameter.
[[nodiscard]] std::string query_value(std::string_view text);

/// With a `wait` of 0 the request does not wait.
[[nodiscard]] Call acquire_call(const Wanted& wanted, const std::string& token, milliseconds wait);
[[nodiscard]] Result<Grant> parse_grant(const Reply& reply);

struct Renewal {
  std::optional<milliseconds> ttl;  ///< None: held until it is released.
  std::size_t locks = 0;            ///< How many the lease has.
  /// Their highest fence. None: there are no locks, or the server is too old to report it.
  std::optional<std::uint64_t> newest_fence = {};
};

/// An empty `ttl` leaves the TTL as it is.
[[nodiscard]] Call renew_call(const std::string& token, const std::string& ttl = {});
/// Fails with the kind `unreachable` if the answer is not a lock server's, even with status 200.
[[nodiscard]] Result<Renewal> parse_renewal(const Reply& reply);
/// One page of the locks that a lease holds.
struct LeasePage {
  struct Held {
    std::uint64_t fence = 0;
    bool shared = false;
  };
  std::map<std::string, Held> locks;  ///< By path.
  std::string next;                   ///< `after` of the next page; empty: this is the last one.
};
[[nodiscard]] Call lease_call(const std::string& token, const std::string& after = {});
[[nodiscard]] Result<LeasePage> parse_lease(const Reply& reply);
/// Releases one path of a lease; with an empty path all of it.
[[nodiscard]] Call release_call(const std::string& token, const std::string& path = {});
/// The paths to pass to release_call() for a grant: its own if it joined a lease, else "" (all).
[[nodiscard]] std::vector<std::string> paths_to_release(const Grant& grant, bool has_joined);
/// Whether the answer to the release of the whole lease says that it had lost some locks before.
[[nodiscard]] bool tells_of_loss(const Reply& released, const Grant& grant);
/// Asks who holds a path and who waits for it.
[[nodiscard]] Call look_call(const std::string& path);

struct ListFilter {
  std::string prefix = {};
  std::string owner = {};
  std::string state = {};  ///< "held" (the default), "cooling" or "waiting".
  unsigned limit = 1'000;
};
[[nodiscard]] Call list_call(const ListFilter& filter, const std::string& after = {});

struct ForceFilter {
  std::string path = {};
  std::string prefix = {};
  std::string owner = {};
  std::string fence = {};
  bool ends_cooling = false;  ///< Also locks in their lock delay.
  bool ends_waiting = false;  ///< Also waiting requests.
};
[[nodiscard]] Call force_call(const ForceFilter& filter, const std::string& reason);
/// The stream of events at and below a prefix, for HttpClient::async_open_stream().
[[nodiscard]] Call events_call(const std::string& prefix);

}  // namespace locker::client
