#include "server/http/http_server.hpp"

#include <algorithm>
#include <exception>
#include <thread>
#include <utility>

#include <boost/asio/post.hpp>

namespace locker::server {

struct HttpServer::Thread {
  Thread(RequestHandler& handler, GroupCommit& commit, const Worker::Options& options)
      : worker(io_context, handler, commit, options) {}

  void run(const HttpHooks& hooks) {
    while (true) {
      try {
        io_context.run();
        return;
      } catch (const std::exception& exception) {
        // Out of memory where no connection handles it itself, such as when its TLS waits again.
        if (hooks.on_error) hooks.on_error(exception.what());
      }
    }
  }

  net::io_context io_context{1};
  Worker worker;
  std::thread thread;
};

HttpServer::HttpServer(RequestHandler& handler, GroupCommit& commit, Options options)
    : handler_(handler),
      commit_(commit),
      options_(std::move(options)),
      connections_(std::make_shared<SharedCount>(options_.connections_max)),
      buffered_(std::make_shared<SharedCount>(options_.limits.buffered_max)) {
  if (options_.metrics != nullptr) options_.metrics->watch(connections_, buffered_, options_.tls);
}

// NOLINTNEXTLINE(bugprone-exception-escape): without memory to stop, the process ends
HttpServer::~HttpServer() { stop(std::chrono::milliseconds{0}); }

boost::system::error_code HttpServer::start(const tcp::endpoint& endpoint) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const unsigned count = options_.threads == 0 ? cores : options_.threads;
  Worker::Options worker_options{options_.limits, options_.hooks, connections_, buffered_, {},
                                 options_.tls};
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<Executor> executors;
  for (unsigned i = 0; i < count; ++i) {
    if (options_.metrics != nullptr) worker_options.metrics = options_.metrics->add_worker();
    threads.push_back(std::make_unique<Thread>(handler_, commit_, worker_options));
    executors.push_back(threads.back()->io_context.get_executor());
  }
  auto acceptors = open_acceptors(endpoint, executors);
  if (!acceptors) return acceptors.error();
  boost::system::error_code error;
  endpoint_ = acceptors->front().local_endpoint(error);
  if (error) return error;
  threads_ = std::move(threads);
  for (std::size_t i = 0; i < count; ++i) {
    Thread& thread = *threads_[i];
    thread.worker.listen(std::move((*acceptors)[i]));
    thread.thread = std::thread{[this, &thread] { thread.run(options_.hooks); }};
  }
  return {};
}

void HttpServer::stop(std::chrono::milliseconds grace) {
  for (const auto& thread : threads_) {
    net::post(thread->io_context, [&worker = thread->worker, grace] { worker.drain(grace); });
  }
  // No thread is stopped by force: each runs out of work once its connections are closed and what
  // it had to commit for others is committed.
  for (const auto& thread : threads_) {
    if (thread->thread.joinable()) thread->thread.join();  // start() may have failed
  }
  threads_.clear();
}

}  // namespace locker::server
