#include "dataplane/telemetry/exposition.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

#include "dataplane/tokens/encoding.hpp"

namespace balancer::dataplane {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

class Families {
  public:
    void add(const std::string& name, const std::string& help, MetricType type) {
        families_.push_back(MetricFamily{"balancer_dp_" + name, help, type, {}});
    }

    // A sample of the family added last.
    void sample(Labels labels, double value) {
        ClientMetric metric = labelled(std::move(labels));
        metric.counter.value = value;
        metric.gauge.value = value;
        families_.back().metric.push_back(std::move(metric));
    }

    void single(const std::string& name, const std::string& help, MetricType type, double value) {
        add(name, help, type);
        sample({}, value);
    }

    void histogram(Labels labels, const std::vector<const Histogram*>& parts) {
        ClientMetric metric = labelled(std::move(labels));
        std::uint64_t cumulative = 0;
        std::uint64_t sum_ms = 0;
        for (std::size_t i = 0; i <= kLatencyBoundsMs.size(); ++i) {
            for (const Histogram* part : parts) cumulative += part->buckets[i].get();
            double bound = i < kLatencyBoundsMs.size()
                               ? static_cast<double>(kLatencyBoundsMs[i]) / 1000.0
                               : std::numeric_limits<double>::infinity();
            metric.histogram.bucket.push_back({cumulative, bound});
        }
        for (const Histogram* part : parts) sum_ms += part->sum_ms.get();
        metric.histogram.sample_count = cumulative;
        metric.histogram.sample_sum = static_cast<double>(sum_ms) / 1000.0;
        families_.back().metric.push_back(std::move(metric));
    }

    std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

  private:
    static ClientMetric labelled(Labels labels) {
        ClientMetric metric;
        for (auto& [name, value] : labels) metric.label.push_back({name, value});
        return metric;
    }

    std::vector<MetricFamily> families_;
};

using Read = std::function<std::uint64_t(const WorkerMetrics&)>;

double sum(const Exposition& source, const Read& read) {
    std::uint64_t total = 0;
    for (const WorkerMetrics* worker : source.workers) total += read(*worker);
    return static_cast<double>(total);
}

void expose_traffic(Families& out, const Exposition& source) {
    out.add("requests_total", "Requests by how they ended.", MetricType::Counter);
    for (std::size_t i = 0; i < kOutcomes; ++i) {
        double value = sum(source, [i](const WorkerMetrics& w) { return w.requests[i].get(); });
        out.sample({{"outcome", std::string(name_of(static_cast<Outcome>(i)))}}, value);
    }
    auto gauge = [&](const char* name, const char* help, const Read& read) {
        out.single(name, help, MetricType::Gauge, sum(source, read));
    };
    auto counter = [&](const char* name, const char* help, const Read& read) {
        out.single(name, help, MetricType::Counter, sum(source, read));
    };
    gauge("requests_in_flight", "Requests being served.", [](auto& w) { return w.in_flight.get(); });
    gauge("connections", "Client connections open.", [](auto& w) { return w.connections.get(); });
    counter("connections_total", "Client connections accepted.", [](auto& w) { return w.connections_total.get(); });
    counter("received_bytes_total", "Request body bytes.", [](auto& w) { return w.bytes_from_clients.get(); });
    counter("sent_bytes_total", "Answer body bytes.", [](auto& w) { return w.bytes_to_clients.get(); });
    counter("pings_total", "Pings made for silent streams.", [](auto& w) { return w.pings_sent.get(); });
    counter("retries_total", "Further attempts after a failed one.", [](auto& w) { return w.retries.get(); });
    counter(
        "retries_denied_total", "Further attempts that the retry budget forbade.", [](auto& w) { return w.retries_denied.get(); }
    );
    counter(
        "upstream_connections_made_total", "Connections opened to providers.", [](auto& w) { return w.pool_made.get(); }
    );
    counter(
        "upstream_connections_reused_total", "Requests sent on a pooled connection.", [](auto& w) { return w.pool_reused.get(); }
    );
    gauge("upstream_connections_idle", "Pooled connections.", [](auto& w) { return w.pool_idle.get(); });
    gauge("body_memory_bytes", "Request bodies held.", [](auto& w) { return w.body_memory.get(); });
    counter("coalesced_requests_total", "Requests that read an identical one's upstream call.", [](auto& w) {
        return w.coalesced.get();
    });
    gauge("coalesced_requests", "Those of them that are under way.", [](auto& w) { return w.coalesced_now.get(); });
    counter("coalesced_bytes_total", "Answer body bytes that went to them.", [](auto& w) {
        return w.coalesced_bytes.get();
    });
    counter("coalesced_input_tokens_total", "Input tokens of those answers, as their provider counted them.", [](auto& w) {
        return w.coalesced_input_tokens.get();
    });
    counter("coalesced_output_tokens_total", "Output tokens of those answers, as their provider counted them.", [](auto& w) {
        return w.coalesced_output_tokens.get();
    });
    counter("replayed_requests_total", "Coalesced requests that were given a kept answer again.", [](auto& w) {
        return w.replayed.get();
    });
    gauge("calls", "Upstream calls that an identical request can join, on each worker that knows them.", [](auto& w) {
        return w.calls.get();
    });
    gauge("answers_kept", "Whole answers kept for identical requests that come again.", [](auto& w) {
        return w.answers_kept.get();
    });
    gauge("call_memory_bytes", "Answers held for those who read them or may come.", [](auto& w) {
        return w.call_memory.get();
    });
    gauge("buffer_bytes", "Buffers in use.", [](auto& w) { return w.buffers_out.get(); });
    counter(
        "access_lines_lost_total", "Access records that could not be written.", [](auto& w) { return w.access_lines_lost.get(); }
    );
}

void expose_counts(Families& out, const Exposition& source) {
    using tokens::EncodingName;
    out.add(
        "tokens_counted_locally_total", "count_tokens requests that no provider answered, by encoding.", MetricType::Counter
    );
    for (EncodingName name : {EncodingName::kClaude, EncodingName::kCl100k, EncodingName::kO200k}) {
        auto at = static_cast<std::size_t>(name);
        double value = sum(source, [at](const WorkerMetrics& w) { return w.counted_locally[at].get(); });
        out.sample({{"encoding", std::string(tokens::name_of(name))}}, value);
    }
}

using Visit = std::function<void(const std::string&, const std::vector<const ProviderMetrics*>&)>;

void each_provider(const Exposition& source, const Visit& visit) {
    for (std::size_t slot = 0; slot < source.provider_names.size(); ++slot) {
        std::vector<const ProviderMetrics*> parts;
        for (const WorkerMetrics* worker : source.workers) {
            if (const ProviderMetrics* found = worker->find(slot)) parts.push_back(found);
        }
        visit(source.provider_names[slot], parts);
    }
}

void expose_providers(Families& out, const Exposition& source) {
    out.add(
        "attempts_total",
        "Attempts at a provider by result; none is success.",
        MetricType::Counter
    );
    each_provider(source, [&](const std::string& name, const auto& parts) {
        for (std::size_t i = 0; i < kFailureClasses; ++i) {
            std::uint64_t total = 0;
            for (const ProviderMetrics* part : parts) total += part->attempts[i].get();
            if (total == 0 && i > 0) continue;
            out.sample(
                {{"provider", name}, {"failure", std::string(name_of(static_cast<FailureClass>(i)))}},
                static_cast<double>(total)
            );
        }
    });
    auto each = [&](const char* name, const char* help, MetricType type, auto read) {
        out.add(name, help, type);
        each_provider(source, [&](const std::string& provider, const auto& parts) {
            std::uint64_t total = 0;
            for (const ProviderMetrics* part : parts) total += read(*part);
            out.sample({{"provider", provider}}, static_cast<double>(total));
        });
    };
    each("failovers_total", "Requests that moved on from a provider.", MetricType::Counter, [](auto& p) {
        return p.failovers.get();
    });
    each("attempts_in_flight", "Requests at it, from the connect to the answer's end.", MetricType::Gauge, [](auto& p) {
        return p.attempts_in_flight.get();
    });
    each("answers_in_flight", "Answers being relayed.", MetricType::Gauge, [](auto& p) {
        return p.in_flight.get();
    });
    auto histograms = [&](const char* name, const char* help, auto pick) {
        out.add(name, help, MetricType::Histogram);
        each_provider(source, [&](const std::string& provider, const auto& parts) {
            std::vector<const Histogram*> all;
            for (const ProviderMetrics* part : parts) all.push_back(&pick(*part));
            if (!all.empty()) out.histogram({{"provider", provider}}, all);
        });
    };
    histograms(
        "first_byte_seconds",
        "From sending the request to the head of the answer.",
        [](const ProviderMetrics& p) -> const Histogram& { return p.first_byte; }
    );
    histograms(
        "answer_seconds",
        "From the request's arrival to the answer's end.",
        [](const ProviderMetrics& p) -> const Histogram& { return p.duration; }
    );
}

// Only providers that somebody has asked for their list.
void expose_models(Families& out, const Exposition& source) {
    out.add("provider_models", "Models in a provider's list; 0: it gave none.", MetricType::Gauge);
    for (const ModelListStatus& one : source.model_lists) {
        out.sample({{"provider", one.provider}}, static_cast<double>(one.models));
    }
    out.add("provider_model_lists_total", "Requests for providers' lists of models.", MetricType::Counter);
    for (const ModelListStatus& one : source.model_lists) {
        out.sample({{"provider", one.provider}, {"result", "listed"}}, static_cast<double>(one.listed));
        out.sample({{"provider", one.provider}, {"result", "failed"}}, static_cast<double>(one.failed));
    }
}

// How old the state in force is, where it comes from, and whether it would survive a restart.
void expose_custody(Families& out, const Exposition& source) {
    const ControlStatus& control = source.control;
    // What came from disk is as old as its file until a control plane is heard.
    UnixMs since = std::max(control.last_heard, control.restored_from);
    double age = since == 0 ? static_cast<double>(elapsed_ms(source.started, steady_now()))
                            : static_cast<double>(unix_now() - since);
    out.single(
        "snapshot_age_seconds",
        "Since the control plane was last heard, or the state from disk was written.",
        MetricType::Gauge,
        age / 1000.0
    );
    out.add("snapshot_source", "1 for where the snapshot in force comes from.", MetricType::Gauge);
    static constexpr std::pair<SnapshotSource, const char*> kSources[] = {
        {SnapshotSource::kNone, "none"},
        {SnapshotSource::kMemory, "memory"},
        {SnapshotSource::kDisk, "disk"},
    };
    for (auto [which, word] : kSources) {
        out.sample({{"source", word}}, control.source == which ? 1 : 0);
    }
    out.single(
        "last_known_good_timestamp_seconds",
        "Unix time of the state on disk that this process wrote or took; 0: none yet.",
        MetricType::Gauge,
        static_cast<double>(std::max(control.kept_at, control.restored_from)) / 1000.0
    );
    out.add("last_known_good_writes_total", "Writes of the state to disk.", MetricType::Counter);
    out.sample({{"result", "kept"}}, static_cast<double>(control.kept));
    out.sample({{"result", "failed"}}, static_cast<double>(control.keep_failures));
    out.single(
        "last_known_good_refused_total",
        "Files on disk that were of no use at the start.",
        MetricType::Counter,
        static_cast<double>(control.kept_refused)
    );
}

void expose_control(Families& out, const Exposition& source) {
    const ControlStatus& control = source.control;
    auto gauge = [&](const char* name, const char* help, double value) {
        out.single(name, help, MetricType::Gauge, value);
    };
    auto counter = [&](const char* name, const char* help, std::uint64_t value) {
        out.single(name, help, MetricType::Counter, static_cast<double>(value));
    };
    out.add("info", "Build and name.", MetricType::Gauge);
    out.sample({{"version", BALANCER_VERSION}, {"id", source.id}}, 1);
    gauge("ready", "1 when /readyz answers 200.", source.ready ? 1 : 0);
    gauge("draining", "1 while it takes no new clients and ends.", source.draining ? 1 : 0);
    gauge(
        "uptime_seconds", "Since the start.", static_cast<double>(elapsed_ms(source.started, steady_now())) / 1000.0
    );
    gauge("control_plane_connected", "1 while the sync stream is up.", control.connected ? 1 : 0);
    gauge("snapshot_epoch", "Version in force.", static_cast<double>(control.applied.epoch));
    gauge("snapshot_seq", "Version in force.", static_cast<double>(control.applied.seq));
    gauge("snapshot_head_seq", "Newest version told of.", static_cast<double>(control.head_seq));
    expose_custody(out, source);
    counter("updates_applied_total", "Updates acknowledged.", control.updates_applied);
    counter("updates_refused_total", "Updates refused.", control.updates_refused);
    counter("control_plane_reconnects_total", "Sync streams opened anew.", control.reconnects);
    counter("signals_sent_total", "Outcomes reported.", control.signals_sent);
    counter("signals_dropped_total", "Outcomes lost to a full queue.", control.signals_dropped);
}

}  // namespace

std::string expose(const Exposition& source) {
    Families out;
    expose_control(out, source);
    expose_traffic(out, source);
    expose_providers(out, source);
    expose_counts(out, source);
    expose_models(out, source);
    return out.text();
}

}  // namespace balancer::dataplane
