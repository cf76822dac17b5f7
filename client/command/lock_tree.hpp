#pragma once

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

namespace locker::client {

/// Whether this is the place of one who does not wait at the moment, as the server lists it.
[[nodiscard]] bool is_kept_place(const boost::json::object& lock);

/// What is held, by path, for people.
class LockTree {
 public:
  /// A lock as the server lists it.
  void add(const boost::json::object& lock);
  /// A line for each path segment, with who holds it.
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
