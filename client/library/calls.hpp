#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/library/http_client.hpp"

namespace locker::client {

// The requests of /v1 and their answers; server/API.md describes them.

/// What to lock. Durations are texts as the server reads them ("30s").
struct Wanted {
  std::vector<std::string> paths;  ///< As in a URL. Several are taken in one step.
  unsigned any = 0;                ///< Not zero: so many of the paths, whichever are free first.
  bool shared = false;
  bool lock_parents = true;
  bool lock_children = true;
  std::string owner = {};
  std::string ttl = "30s";  ///< Empty: as long as the server's default.
  std::string meta = {};
  std::string lock_delay = {};
};

struct Grant {
  std::vector<std::string> paths;
  std::string token;
  std::string owner;
  std::uint64_t fence = 0;
  bool shared = false;
  std::optional<milliseconds> ttl;  ///< None: held until it is released.
  BootClock::time_point sent;       ///< The TTL counts from then at the earliest.
};

/// A random UUID for a lease of one's own.
[[nodiscard]] std::string fresh_token();

/// A path as people type it, fit for a URL: with a slash before it, and everything encoded that a
/// URL cannot have as it is. `%2F` and the like stay.
[[nodiscard]] std::string url_path(std::string_view typed);
/// A text as the value of a parameter in a query.
[[nodiscard]] std::string query_value(std::string_view text);

[[nodiscard]] Call acquire_call(const Wanted& wanted, const std::string& token, milliseconds wait);
[[nodiscard]] Result<Grant> parse_grant(const Reply& reply);

struct Renewal {
  std::optional<milliseconds> ttl;  ///< None: held until it is released.
  std::size_t locks = 0;            ///< That the lease has.
  /// The highest fence of those. None: it has none, or the server is older than this.
  std::optional<std::uint64_t> newest_fence = {};
};

/// `ttl` empty: leaves it.
[[nodiscard]] Call renew_call(const std::string& token, const std::string& ttl = {});
/// Fails as `unreachable` when the answer is no lock server's, even with status 200.
[[nodiscard]] Result<Renewal> parse_renewal(const Reply& reply);
/// What a lease holds, page by page.
struct LeasePage {
  struct Held {
    std::uint64_t fence = 0;
    bool shared = false;
  };
  std::map<std::string, Held> locks;  ///< By path.
  std::string next;  ///< Behind what the next page begins; empty: this is the last one.
};
[[nodiscard]] Call lease_call(const std::string& token, const std::string& after = {});
[[nodiscard]] Result<LeasePage> parse_lease(const Reply& reply);
/// One path of a lease; with an empty path all of it.
[[nodiscard]] Call release_call(const std::string& token, const std::string& path = {});
/// The paths for that of a grant: "" for all of a lease of its own.
[[nodiscard]] std::vector<std::string> paths_to_release(const Grant& grant, bool has_joined);
/// Whether the answer to the release of all of its lease says that it had lost a part before.
[[nodiscard]] bool tells_of_loss(const Reply& released, const Grant& grant);
[[nodiscard]] Call look_call(const std::string& path);

struct ListFilter {
  std::string prefix = {};
  std::string owner = {};
  std::string state = {};  ///< held (the default), cooling, waiting.
  unsigned limit = 1'000;
};
[[nodiscard]] Call list_call(const ListFilter& filter, const std::string& after = {});

struct ForceFilter {
  std::string path = {};
  std::string prefix = {};
  std::string owner = {};
  std::string fence = {};
  bool ends_cooling = false;  ///< Also what cools already.
  bool ends_waiting = false;  ///< Also requests that wait.
};
[[nodiscard]] Call force_call(const ForceFilter& filter, const std::string& reason);
[[nodiscard]] Call events_call(const std::string& prefix);

}  // namespace locker::client
