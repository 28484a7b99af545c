#include "dataplane/server.hpp"

#include <fmt/format.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <future>

#include "base/file.hpp"
#include "base/net.hpp"
#include "dataplane/telemetry/exposition.hpp"

namespace balancer::dataplane {

using tcp = net::ip::tcp;

namespace {

constexpr std::chrono::seconds kListenAgain{1};

// Several acceptors, also of several processes, share the port; the kernel spreads connections over them.
Result<tcp::acceptor> open_acceptor(net::io_context& context, const tcp::endpoint& endpoint) {
    tcp::acceptor acceptor(context);
    ErrorCode ec;
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    using ReusePort = net::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;
    if (!ec) acceptor.set_option(ReusePort(true), ec);
    if (!ec) acceptor.bind(endpoint, ec);
    if (!ec) acceptor.listen(4096, ec);
    if (ec) {
        return Error{
            ec,
            fmt::format(
                "cannot listen on {}: {}; another program may hold the port (ss -ltnp), or choose another with --listen",
                to_string(endpoint),
                ec.message()
            )
        };
    }
    return acceptor;
}

}  // namespace

Server::Server(ServerOptions options, Log& log)
    : options_(std::move(options)), log_(log), process_(log), listen_again_(context_) {
    process_.id = options_.control.id;
    process_.workers = options_.workers;
    for (unsigned i = 0; i < options_.workers; ++i) {
        auto index = static_cast<WorkerIndex>(i);
        workers_.push_back(std::make_unique<Worker>(process_, fmt::format("{}/{}", process_.id, i), index));
    }
    std::vector<Calls*> calls;
    for (auto& worker : workers_) calls.push_back(&worker->calls());
    for (auto& worker : workers_) worker->calls().meet(calls);
    ControlCallbacks callbacks;
    callbacks.on_snapshot = [this](std::shared_ptr<const Snapshot> snapshot) {
        on_snapshot(std::move(snapshot));
    };
    callbacks.on_health = [this](std::shared_ptr<const HealthView> health) {
        for (auto& worker : workers_) worker->publish(health);
    };
    callbacks.collect_totals = [this] { return collect_totals(); };
    callbacks.in_flight = [this] { return in_flight(); };
    callbacks.in_flight_at = [this] { return in_flight_at(); };
    callbacks.ready = [this] { return ready(); };
    callbacks.draining = [this] { return process_.draining || makes_room_; };
    callbacks.on_drain = options_.on_drain;
    callbacks.find_request = [this](std::string id, std::function<void(RequestsFound)> done) {
        ask_workers([&id](Worker& worker, FoundDone part) { worker.find_request(id, std::move(part)); }, std::move(done));
    };
    callbacks.list_requests = [this](FoundDone done) {
        ask_workers([](Worker& worker, FoundDone part) { worker.list_requests(std::move(part)); }, std::move(done));
    };
    control_ = std::make_unique<Control>(options_.control, std::move(callbacks), log_);
    process_.report = [this](AttemptOutcome outcome) { control_->report(std::move(outcome)); };
    process_.manage = [this](ManageCall call, std::function<void(ManageAnswer)> done) {
        control_->manage(std::move(call), std::move(done));
    };
    process_.count_tokens = [this](CountCall call, CountDone done) {
        counting_.count(std::move(call), std::move(done));
    };
    // One worker keeps the lists for all.
    process_.list_models = [this](ModelCall call, ModelDone done) {
        workers_.front()->list_models(std::move(call), std::move(done));
    };
    management_ = std::make_unique<ManagementHttp>(context_, log_, [this](const ManagementRequest& request) {
        return answer(request);
    });
}

Server::~Server() = default;

Result<void> Server::start() {
    Result<std::string> admin = options_.inherited.admin ? management_->adopt(std::move(options_.inherited.admin))
                                                         : management_->listen(options_.admin);
    if (!admin) return admin.error();
    admin_address_ = *admin;
    counting_.start();
    for (auto& worker : workers_) worker->start();
    if (!options_.listen.empty()) {
        listen_wanted_ = options_.listen;  // nobody else runs yet
        Result<std::string> bound = listen(options_.listen);
        if (!bound) return bound.error();
    }
    if (options_.listen.empty()) write_addresses({});
    control_->start();
    return {};
}

void Server::begin_drain() {
    if (process_.draining.exchange(true)) return;
    for (auto& worker : workers_) worker->drain();
    control_->tell_state();
}

void Server::hurry(Milliseconds deadline) {
    for (auto& worker : workers_) worker->cut_by(steady_now() + deadline);
}

void Server::make_room(bool yes) {
    makes_room_ = yes;
    control_->make_room(yes);
    control_->tell_state();
}

void Server::leave_management() {
    net::post(context_, [this] { management_->stop(); });
}

Listeners Server::share_listeners() {
    Listeners shared;
    shared.admin = management_->share();
    for (auto& worker : workers_) {
        auto copies = std::make_shared<std::promise<std::vector<UniqueFd>>>();
        worker->share_listeners([copies](std::vector<UniqueFd> some) { copies->set_value(std::move(some)); });
        for (UniqueFd& copy : copies->get_future().get()) shared.clients.push_back(std::move(copy));
    }
    return shared;
}

void Server::stop(Milliseconds deadline) {
    begin_drain();
    SteadyTime until = steady_now() + deadline;
    // The first keeps the model lists: as long as another serves requests it may be asked, though it has none itself.
    auto home = net::make_work_guard(workers_.front()->context());
    for (auto& worker : workers_) worker->stop(until);
    for (std::size_t i = 1; i < workers_.size(); ++i) workers_[i]->join();
    home.reset();
    workers_.front()->join();
    counting_.stop();
    // After the workers: their last outcomes are still reported.
    control_->stop();
}

// Asks every worker; the last one to answer says it all.
void Server::ask_workers(const std::function<void(Worker&, FoundDone)>& ask, FoundDone done) {
    struct Gathered {
        std::mutex mutex;
        RequestsFound found;
        std::size_t missing = 0;
    };
    auto gathered = std::make_shared<Gathered>();
    gathered->missing = workers_.size();
    for (auto& worker : workers_) {
        ask(*worker, [gathered, done](RequestsFound part) {
            std::lock_guard lock(gathered->mutex);
            RequestsFound& all = gathered->found;
            for (RequestRecord& record : part.records) all.records.push_back(std::move(record));
            all.plain_since = std::max(all.plain_since, part.plain_since);
            all.troubled_since = std::max(all.troubled_since, part.troubled_since);
            all.left_out += part.left_out;
            if (--gathered->missing == 0) done(std::move(all));
        });
    }
}

// Opens one acceptor for each worker on `address`; port 0 is chosen once.
Result<std::string> Server::listen(const std::string& address) {
    Result<tcp::endpoint> endpoint = parse_endpoint(address);
    if (!endpoint) return endpoint.error();
    std::vector<std::vector<tcp::acceptor>> acceptors = inherit(*endpoint);
    if (!acceptors.front().empty()) *endpoint = acceptors.front().front().local_endpoint();
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        if (!acceptors[i].empty()) continue;
        Result<tcp::acceptor> acceptor = open_acceptor(workers_[i]->context(), *endpoint);
        if (!acceptor) return acceptor.error();
        *endpoint = acceptor->local_endpoint();
        acceptors[i].push_back(*std::move(acceptor));
    }
    for (std::size_t i = 0; i < workers_.size(); ++i) workers_[i]->listen(std::move(acceptors[i]));
    std::string bound = to_string(*endpoint);
    log_.emit(
        LogLevel::kInfo,
        LogEvent::kListening,
        "Serving clients.",
        {{"address", bound}, {"workers", workers_.size()}, {"admin", admin_address_}}
    );
    // Before anybody can see that it is ready.
    write_addresses(bound);
    std::lock_guard lock(mutex_);
    listening_for_ = address;
    listen_address_ = bound;
    listen_problem_.clear();
    return bound;
}

// What another process has left for each worker, if it is on this address (port 0: on any of it). As many listeners as were
// left must be served: clients queue at each of them.
std::vector<std::vector<tcp::acceptor>> Server::inherit(const tcp::endpoint& wanted) {
    std::vector<std::vector<tcp::acceptor>> acceptors(workers_.size());
    std::vector<UniqueFd> left = std::exchange(options_.inherited.clients, {});
    for (std::size_t i = 0; i < left.size(); ++i) {
        const std::size_t worker = i % workers_.size();
        Result<tcp::acceptor> acceptor = acceptor_of(workers_[worker]->context(), std::move(left[i]));
        if (!acceptor) continue;
        ErrorCode ignored;
        tcp::endpoint bound = acceptor->local_endpoint(ignored);
        bool fits = bound.address() == wanted.address() && (wanted.port() == 0 || bound.port() == wanted.port());
        if (fits) acceptors[worker].push_back(*std::move(acceptor));
    }
    return acceptors;
}

// On context_'s thread. A port that is taken may be free a moment later: until then it is tried each second.
void Server::listen_where_configured() {
    std::string wanted;
    std::string known_problem;
    {
        std::lock_guard lock(mutex_);
        if (listen_wanted_ == listening_for_) listen_problem_.clear();
        if (listen_wanted_ == listening_for_ || process_.draining) return;
        wanted = listen_wanted_;
        known_problem = listen_problem_;
    }
    Result<std::string> bound = listen(wanted);
    if (bound) return;
    std::string problem = bound.error().text();
    if (problem != known_problem) {
        log_.emit(
            LogLevel::kError,
            LogEvent::kNotice,
            "The client port cannot be opened; it is tried again each second.",
            {{"address", wanted}, {"reason", problem}}
        );
    }
    {
        std::lock_guard lock(mutex_);
        listen_problem_ = problem;
    }
    listen_again_.expires_after(kListenAgain);
    listen_again_.async_wait([this](const ErrorCode& ec) {
        if (!ec) listen_where_configured();
    });
}

void Server::write_addresses(const std::string& listen_address) {
    std::string json = fmt::format(
        "{{\"listen\":\"{}\",\"admin\":\"{}\"}}\n", listen_address, admin_address_
    );
    Result<void> written =
        write_file_atomically(options_.control.state_dir / "addresses.json", json, 0644);
    if (!written) {
        log_.emit(LogLevel::kWarning, LogEvent::kNotice, written.error().text());
    }
}

void Server::on_snapshot(std::shared_ptr<const Snapshot> snapshot) {
    const Settings& settings = snapshot->settings;
    apply_log_settings(settings);
    // Before ready() says so: who asks on hearing it must not come too early.
    for (auto& worker : workers_) worker->publish(snapshot);
    {
        std::lock_guard lock(mutex_);
        snapshot_ = snapshot;
        for (const auto& provider : snapshot->providers) {
            std::size_t slot = provider->slot.value();
            if (slot_names_.size() <= slot) slot_names_.resize(slot + 1);
            slot_names_[slot] = provider->name;
        }
        if (options_.listen.empty()) {
            listen_wanted_ = fmt::format("{}:{}", settings.listen_host, settings.listen_port);
        }
    }
    net::post(context_, [this] { listen_where_configured(); });
}

void Server::apply_log_settings(const Settings& settings) {
    log_.set_level(settings.log_level);
    log_.set_color(settings.log_color);
    std::string path = settings.log_file_path;
    if (!path.empty()) path = (options_.control.state_dir / path).string();
    for (auto& worker : workers_) worker->log_access_to(path);
    // Not on the control thread: it owes the control plane a heartbeat, and a disk may hang.
    net::post(context_, [this, path] {
        Result<void> opened = log_.set_file(path);
        if (!opened) log_.emit(LogLevel::kError, LogEvent::kNotice, opened.error().text());
    });
}

std::vector<ProviderTotals> Server::collect_totals() const {
    std::vector<std::string> names;
    {
        std::lock_guard lock(mutex_);
        names = slot_names_;
    }
    std::vector<ProviderTotals> all;
    for (std::size_t slot = 0; slot < names.size(); ++slot) {
        ProviderTotals totals;
        totals.provider = names[slot];
        for (const auto& worker : workers_) {
            const ProviderMetrics* metrics = worker->metrics().find(slot);
            if (metrics == nullptr) continue;
            totals.successes += metrics->attempts[0].get();
            for (std::size_t i = 0; i < kFailureClasses; ++i) {
                totals.attempts += metrics->attempts[i].get();
                if (i > 0) totals.failures[i] += metrics->attempts[i].get();
            }
            totals.ttfb_ms_sum += metrics->first_byte.sum_ms.get();
            for (const Counter& bucket : metrics->first_byte.buckets) totals.ttfb_count += bucket.get();
        }
        if (totals.attempts > 0) all.push_back(std::move(totals));
    }
    return all;
}

std::uint32_t Server::in_flight() const {
    std::uint64_t sum = 0;
    for (const auto& worker : workers_) sum += worker->metrics().in_flight.get();
    return static_cast<std::uint32_t>(sum);
}

std::vector<std::pair<std::string, std::uint32_t>> Server::in_flight_at() const {
    std::vector<std::string> names;
    {
        std::lock_guard lock(mutex_);
        names = slot_names_;
    }
    std::vector<std::pair<std::string, std::uint32_t>> all;
    for (std::size_t slot = 0; slot < names.size(); ++slot) {
        std::uint64_t sum = 0;
        for (const auto& worker : workers_) {
            const ProviderMetrics* metrics = worker->metrics().find(slot);
            if (metrics != nullptr) sum += metrics->attempts_in_flight.get();
        }
        if (sum > 0) all.emplace_back(names[slot], static_cast<std::uint32_t>(sum));
    }
    return all;
}

bool Server::ready() const {
    std::lock_guard lock(mutex_);
    if (snapshot_ == nullptr || listen_address_.empty() || process_.draining) return false;
    return control_->status().stand_aside.empty();
}

std::string Server::why_not_ready() const {
    if (process_.draining) return "draining";
    std::string aside = control_->status().stand_aside;
    if (!aside.empty()) return "standing aside: " + aside;
    std::lock_guard lock(mutex_);
    if (snapshot_ == nullptr) return "no snapshot in force yet";
    return listen_problem_.empty() ? "the client port is not open yet" : listen_problem_;
}

ManagementResponse Server::answer(const ManagementRequest& request) {
    if (request.method != "GET" && request.method != "HEAD") {
        return {405, "text/plain; charset=utf-8", "only GET\n"};
    }
    if (request.path == "/healthz") return {200, "text/plain; charset=utf-8", "alive\n"};
    if (request.path == "/readyz") {
        if (ready()) return {200, "text/plain; charset=utf-8", "ready\n"};
        return {503, "text/plain; charset=utf-8", why_not_ready() + "\n"};
    }
    if (request.path == "/metrics") {
        std::vector<const WorkerMetrics*> metrics;
        for (const auto& worker : workers_) metrics.push_back(&worker->metrics());
        std::vector<std::string> names;
        {
            std::lock_guard lock(mutex_);
            names = slot_names_;
        }
        return {
            200,
            "text/plain; version=0.0.4; charset=utf-8",
            expose(Exposition{
                metrics,
                names,
                control_->status(),
                process_.id,
                ready(),
                started_,
                workers_.front()->model_lists(),
                process_.draining,
            }),
        };
    }
    return {404, "text/plain; charset=utf-8", "there are /healthz, /readyz and /metrics\n"};
}

}  // namespace balancer::dataplane
