// check_history: reads what torture wrote and what the server journaled, and says what is wrong.

#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

#include "tests/histories/check.hpp"

namespace {

using namespace locker::histories;

constexpr std::size_t faults_told = 20;

/// False: there is so little that it proves nothing.
bool print_counts(const Evidence& evidence) {
  std::size_t answered = 0;
  std::size_t granted = 0;
  std::size_t waited = 0;
  std::size_t refused = 0;
  for (const Operation& operation : evidence.history.operations) {
    answered += operation.is_answered() ? 1 : 0;
    const bool is_grant = operation.status == 201 && operation.is_acquire();
    granted += is_grant || (operation.kind == Kind::canhaz && operation.reply.ok) ? 1 : 0;
    waited += is_grant && operation.reply.waited_ms > 0 ? 1 : 0;
    refused += operation.status == 423 ? 1 : 0;
  }
  std::size_t starts = 0;
  for (const ServerEvent& event : evidence.events) {
    starts += event.kind == ServerEvent::Kind::started ? 1 : 0;
  }
  std::cout << "seed " << evidence.history.seed << ": " << evidence.history.operations.size()
            << " requests, " << answered << " answered; " << granted << " grants, " << waited
            << " of them after waiting; " << refused << " refusals; " << evidence.journal.size()
            << " records; the server was started " << starts << " times\n";
  return waited != 0 && refused != 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 5) {
    std::cerr
        << "check_history HISTORY JOURNAL EVENTS STORE\n"
           "HISTORY: what torture wrote. JOURNAL: `locker store dump` of every segment since\n"
           "the store was made. EVENTS: what was done to the server. STORE: `locker store\n"
           "dump` of the store as it is at the end.\n";
    return 64;
  }
  const Evidence evidence{read_history(argv[1]), read_journal(argv[2]), read_server_events(argv[3]),
                          read_journal(argv[4])};
  const bool is_enough = print_counts(evidence);
  Faults faults = check(evidence);
  if (!is_enough) faults.add("nobody waited, or nobody was refused: this proves nothing");
  std::size_t told = 0;
  for (const std::string& sentence : faults.sentences()) {
    if (told++ == faults_told) break;
    std::cout << sentence << "\n";
  }
  std::cout << faults.sentences().size() << " faults\n";
  return faults.empty() ? 0 : 1;
} catch (const std::exception& fault) {
  std::cerr << "check_history: " << fault.what() << "\n";
  return 70;
}
