#include "client/command/lock_tree.hpp"

#include <string_view>

#include "client/command/terminal_text.hpp"

namespace locker::client {
namespace {

std::string describe(const boost::json::object& lock) {
  const std::string state = text_field(lock, "state");
  const bool waits = state == "waiting";
  std::string text = text_field(lock, "owner");
  if (text_field(lock, "mode") == "shared") text += ", shared";
  if (state != "held") text += ", " + (is_kept_place(lock) ? "place kept" : state);
  text += (waits ? " for " : ", ") + duration_field(lock, waits ? "waiting_ms" : "held_ms");
  if (const std::string left = duration_field(lock, "expires_in_ms"); left != "-") {
    text += ", expires in " + left;
  }
  if (const std::string meta = text_field(lock, "meta"); !meta.empty()) text += ": " + meta;
  return text;
}

}  // namespace

bool is_kept_place(const boost::json::object& lock) {
  return text_field(lock, "connected") == "false";
}

void LockTree::add(const boost::json::object& lock) {
  Node* node = &root_;
  const std::string path = text_field(lock, "path");
  std::string_view rest = path;
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the slash
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (segment.empty()) break;  // the root
    node = &node->children[std::string{segment}];
    rest.remove_prefix(segment.size());
  }
  node->holders.push_back(describe(lock));
}

void LockTree::print(std::ostream& out) const {
  if (!root_.holders.empty()) out << "/";
  for (const std::string& holder : root_.holders) out << "  [" << holder << "]";
  if (!root_.holders.empty()) out << "\n";
  print(root_, "", out);
}

void LockTree::print(const Node& node, const std::string& indent, std::ostream& out) {
  for (const auto& [name, child] : node.children) {
    // A segment without holders and with one child shares the line of its child.
    std::string line = "/" + name;
    const Node* shown = &child;
    while (shown->holders.empty() && shown->children.size() == 1) {
      line += "/" + shown->children.begin()->first;
      shown = &shown->children.begin()->second;
    }
    out << indent << line;
    for (const std::string& holder : shown->holders) out << "  [" << holder << "]";
    out << "\n";
    print(*shown, indent + "  ", out);
  }
}

}  // namespace locker::client
