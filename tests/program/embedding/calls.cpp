// Locker as a component, without any HTTP server: the calls answer the same JSON.

#include <iostream>

#include "server/locker.hpp"

int main(int argc, char** argv) {
  auto opened = locker::server::Locker::open({.file = argc > 1 ? argv[1] : "locks.db"});
  if (!opened) {
    std::cerr << opened.error().message << "\n";
    return 1;
  }
  locker::server::Locker& locker = **opened;
  const std::string granted = locker.canhaz("/my/resource", {{"id", "timmy & co"}});
  std::cout << granted << "\n"
            << locker.canhaz("/my") << "\n"
            << locker.dohaz("/my/resource") << "\n";
  const std::string token = granted.substr(granted.find("token") + 9, 36);
  const std::string released = locker.nowant("/my/resource", {{"token", token}});
  std::cout << released << "\n";
  const bool as_expected = granted.starts_with(R"({"ok": true, "token": ")") &&
                           released == R"({"ok": true})" &&
                           locker.dohaz("/my/resource") == R"({"lockedBy": null})";
  return as_expected ? 0 : 1;
}
