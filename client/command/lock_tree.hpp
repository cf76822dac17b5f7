#pragma once

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

namespace locker::client {

/// Whether a listed waiter is a kept place: its client is not connected at the moment.
[[nodiscard]] bool is_kept_place(const boost::json::object& lock);

/// The held locks as a tree of paths, for people.
class LockTree {
 public:
  /// Adds a lock as the server lists it.
  void add(const boost::json::object& lock);
  /// Prints a line for each path segment, with its holders.
  void print(std::ostream& out) const;

 private:
  struct Node {
    std::map<std::string, Node> children;
    std::vector<std::string> holders;
  };
  static void print(const Node& node, const std::string& indent, std::ostream& out);

  Node root_;
};

}  // namespace locker::client
