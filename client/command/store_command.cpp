#include "client/command/commands.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>

#include <boost/json.hpp>

#include "client/command/lease_numbers.hpp"
#include "core/url_path.hpp"
#include "persistence/posix_file_system.hpp"
#include "persistence/store_backup.hpp"
#include "persistence/store_files.hpp"
#include "persistence/store_inspection.hpp"

namespace locker::client {
namespace {

boost::json::object describe(const core::Granted& granted) {
  std::string path;
  core::append_url_path(granted.path, path);
  boost::json::object object{{"record", "granted"}, {"fence", granted.id.fence}};
  object["position"] = granted.id.position;
  object["path"] = path;
  object["mode"] = granted.shape.mode == core::Mode::shared ? "shared" : "exclusive";
  object["lock_parents"] = granted.shape.lock_parents;
  object["lock_children"] = granted.shape.lock_children;
  object["owner"] = granted.owner.empty() ? "?" : granted.owner;
  object["ttl_ms"] = granted.ttl.count();
  object["lock_delay_ms"] = granted.lock_delay.count();
  object["meta"] = granted.meta;
  object["cooling"] = granted.is_cooling;
  return object;
}

boost::json::object describe(const core::LeaseOpened& opened) {
  return {{"record", "lease_opened"},
          {"fence", opened.id.fence},
          {"owner", opened.owner.empty() ? "?" : opened.owner},
          {"ttl_ms", opened.ttl.count()}};
}

boost::json::object describe(const core::TtlChanged& changed) {
  return {{"record", "ttl_changed"}, {"ttl_ms", changed.ttl.count()}};
}

boost::json::object describe(const core::Cooling& cooling) {
  return {{"record", "cooling"},
          {"fence", cooling.id.fence},
          {"position", cooling.id.position},
          {"reason", name_of(cooling.reason)}};
}

boost::json::object describe(const core::Ended& ended) {
  return {{"record", name_of(ended.reason)},
          {"fence", ended.id.fence},
          {"position", ended.id.position}};
}

/// Prints a record as one line. Tokens are secret, so a number stands for each lease.
bool print_record(persistence::Index index, const core::Record& record, LeaseNumbers& leases) {
  boost::json::object object = std::visit([](const auto& kind) { return describe(kind); }, record);
  const std::uint64_t lease = leases.number_of(record);
  object["lease"] = nullptr;
  if (lease != 0) object["lease"] = lease;
  object["index"] = index;
  std::cout << object << "\n";
  return true;
}

using Kind = persistence::OpenFault::Kind;

/// Follows the store's name, instead of the store's own message, which is for lockerd.
constexpr const char* in_use =
    " is in use by a running server. Stop that server, or read a copy that `locker store backup` "
    "makes.";

int exit_code(Kind kind) {
  if (kind == Kind::in_use) return 73;
  const bool is_disk = kind == Kind::io || kind == Kind::unreadable || kind == Kind::disk_full;
  return is_disk ? 74 : 78;
}

constexpr const char* usage =
    "locker store verify STORE               reads a stopped server's store from end to end\n"
    "locker store dump STORE                 the same, and prints a line for each record\n"
    "locker store backup [STORE] DESTINATION copies a store, even while its server runs, and\n"
    "                                        verifies the copy. STORE: LOCKER_FILE, else locks.db\n"
    "Exit codes: 0 intact, 64 usage error, 73 in use or not empty, 74 I/O error, 78 damaged.\n";

void print_summary(const std::string& directory, const persistence::Inspected& inspected) {
  std::cout << directory << ": intact. " << inspected.locks << " locks at index "
            << inspected.summary.last_index << ", highest fence " << inspected.summary.last_fence
            << "; " << inspected.segments << " segments, " << inspected.snapshots << " snapshots";
  if (inspected.summary.torn_bytes != 0) {
    std::cout
        << "; the next start cuts off " << inspected.summary.torn_bytes
        << " bytes after the last complete frame, the remains of an unacknowledged write that a "
           "crash cut short; if nothing crashed, the disk has changed the last records";
  }
  std::cout << ".\n";
}

/// Whether `directory`, which need not exist, is inside `store`, also through links. False if
/// `store` is not a store.
bool is_inside(const std::string& directory, const std::string& store) {
  namespace fs = std::filesystem;
  std::error_code error;  // what is missing or unreadable is not the store
  const bool is_store =
      fs::exists(persistence::in_directory(store, persistence::identity_name), error);
  if (!is_store) return false;
  fs::path at = fs::weakly_canonical(fs::absolute(directory, error), error);
  for (; at.has_relative_path(); at = at.parent_path()) {
    if (fs::equivalent(at, store, error)) return true;
  }
  return false;
}

/// Flushes stdout; returns the exit code.
int end_of_output() {
  if (std::cout.flush()) return 0;
  std::cerr << "locker: the output could not be written.\n";
  return 74;
}

int back_up(const std::string& source, const std::string& destination) {
  if (is_inside(destination, source)) {
    std::cerr << "locker: " << destination << " is inside the store " << source
              << ", which may contain nothing else; name a directory elsewhere, preferably on "
                 "another disk.\n";
    return 64;
  }
  persistence::PosixFileSystem files;
  const auto copied = persistence::back_up_store(files, source, destination);
  if (!copied) {
    std::cerr << "locker: " << copied.error().message << "\n";
    return exit_code(copied.error().kind);
  }
  for (const std::string& warning : copied->warnings) std::cerr << "locker: " << warning << "\n";
  print_summary(destination, *copied);
  return end_of_output();
}

/// The store that lockerd would use.
std::string default_store() {
  const char* const named =
      std::getenv("LOCKER_FILE");  // NOLINT(concurrency-mt-unsafe): one thread
  return named != nullptr && *named != '\0' ? named : "locks.db";
}

}  // namespace

int run_store_command(const std::vector<std::string>& arguments) {
  std::signal(SIGXFSZ, SIG_IGN);  // a failed write reports itself
  const auto is_help = [](const std::string& text) { return text == "--help" || text == "-h"; };
  if (std::any_of(arguments.begin(), arguments.end(), is_help)) {
    std::cout << usage;
    return end_of_output();
  }
  const bool is_backup = !arguments.empty() && arguments[0] == "backup";
  if (is_backup && arguments.size() == 2) return back_up(default_store(), arguments[1]);
  if (is_backup && arguments.size() == 3) return back_up(arguments[1], arguments[2]);
  if (arguments.size() != 2 || (arguments[0] != "verify" && arguments[0] != "dump")) {
    std::cerr << usage;
    return 64;
  }
  const std::string& action = arguments[0];
  const std::string& directory = arguments[1];
  persistence::PosixFileSystem files;
  LeaseNumbers leases;
  const auto inspected = persistence::inspect_store(
      files, directory, [&](persistence::Index index, const core::Record& record) {
        return action != "dump" || print_record(index, record, leases);
      });
  if (!inspected) {
    std::cout.flush();
    const persistence::OpenFault& fault = inspected.error();
    std::cerr << "locker: " << (fault.kind == Kind::in_use ? directory + in_use : fault.message)
              << "\n";
    return exit_code(fault.kind);
  }
  if (action == "verify") print_summary(directory, *inspected);
  return end_of_output();
}

}  // namespace locker::client
