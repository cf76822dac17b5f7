#pragma once

#include <algorithm>
#include <string_view>

namespace locker::server {

/// The parts of a request's target, as they stand in it: still encoded. Everybody who decides by a
/// target splits it here, so that no two can understand it differently.
struct RequestTarget {
  std::string_view path;   ///< All before the `?`.
  std::string_view query;  ///< All behind it.
  std::string_view verb;   ///< The path's first segment with its slash: "/canhaz".
  std::string_view rest;   ///< What of the path comes behind the verb.

  explicit RequestTarget(std::string_view target) {
    const std::size_t question = std::min(target.find('?'), target.size());
    path = target.substr(0, question);
    if (question < target.size()) query = target.substr(question + 1);
    const std::size_t end = std::min(path.find('/', 1), path.size());
    verb = path.substr(0, end);
    rest = path.substr(end);
  }
};

}  // namespace locker::server
