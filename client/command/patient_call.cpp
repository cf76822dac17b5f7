#include "client/command/patient_call.hpp"

#include <algorithm>
#include <iostream>
#include <thread>
#include <utility>

#include "client/command/terminal_text.hpp"

namespace locker::client {

Result<Reply> call_patiently(const ServerAddress& server, const Call& request,
                             milliseconds patience, milliseconds timeout) {
  const auto until = SteadyClock::now() + patience;
  milliseconds pause{200};
  bool has_said = false;
  for (;;) {
    Result<Reply> answered = call(server, request, timeout);
    if (!is_away_or_full(answered) || SteadyClock::now() >= until) return answered;
    const Failure failure = answered ? answered->failure() : answered.error();
    if (!std::exchange(has_said, true)) {
      std::cerr << "locker: " << printable(failure.message) << " Trying again.\n";
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, milliseconds{1'000});
  }
}

}  // namespace locker::client
