using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Benchmarks.Scale;

/// <summary>Plans of a 405B model on large clusters of several kinds, as the coordinator asks for them.</summary>
static class PlannerScale
{
    const string Shape = "llama-3.1-405b";
    const long Gigabyte = 1_000_000_000;

    static readonly string Digest = new('0', ModelIdentity.DigestLength);

    /// <summary>What the clusters are like, and how their plans are asked for.</summary>
    public static IReadOnlyList<(string Name, PlanRequest Request)> Cases(int workers)
    {
        var alike = Workers(workers, perHost: 1, number => Machine(memory: 64 * Gigabyte));
        return
        [
            ("alike", RequestOf(alike)),
            ("alike, for one stream", RequestOf(alike) with { Objective = PlanObjective.Latency, Streams = 1 }),
            ("alike, groups of 8", RequestOf(alike) with { TensorParallel = 8 }),
            ("four on a host", RequestOf(Workers(workers, perHost: 4, number => Machine(memory: 64 * Gigabyte)))),
            ("three kinds", RequestOf(Workers(workers, perHost: 1, number => Machine(memory: (32 << (number % 3)) * Gigabyte, speed: 1 + number % 3)))),
            ("memory of each another", RequestOf(Workers(workers, perHost: 1, number => Machine(memory: 64 * Gigabyte - 4096 * number)))),
            ("each another speed", RequestOf(Workers(workers, perHost: 1, number => Machine(memory: 64 * Gigabyte, speed: 1 + 8.0 * number / workers)))),
            ("measured links", RequestOf(alike) with { Links = MeasuredLinks(alike) }),
        ];
    }

    static PlanRequest RequestOf(IReadOnlyList<CandidateWorker> workers)
    {
        var config = ModelShape.Parse(Shape).Config;
        var footprint = ModelFootprints.Of(Shape, config, TensorMix.TensorsOf(config, "q4_k_m")!, KvType.F16);
        return new PlanRequest(
            1, new ModelIdentity(Shape, Digest), footprint, workers, TensorParallel: null, BufferBytes: Gigabyte, KvBlocks: 4096, MinKvBlocks: 64)
        {
            Context = 8192,
            Streams = 32,
        };
    }

    static IReadOnlyList<CandidateWorker> Workers(int count, int perHost, Func<int, MachineFacts> machine) =>
    [
        .. Enumerable.Range(0, count).Select(number => new CandidateWorker(
            new WorkerId($"w{number}"), $"worker{number}", new Uri($"http://10.0.{number / 250}.{number % 250}:5000"),
            machine(number) with { HostId = $"host{number / perHost}" })),
    ];

    static MachineFacts Machine(long memory, double speed = 1) => new(
        memory, Threads: 32, MemoryReadBytesPerSecond: speed * 100e9, MultiplyAddsPerSecond: speed * 4e12)
    {
        HostProcessors = 128,
        HostReadBytesPerSecond = speed * 300e9,
        HostMultiplyAddsPerSecond = speed * 12e12,
    };

    /// <summary>Ten gigabit Ethernet between neighbours, as many as are measured (<see cref="LinkMeter.MaxPairs"/>). No link is quite like another.</summary>
    static Dictionary<(string, string), Link> MeasuredLinks(IReadOnlyList<CandidateWorker> workers) =>
        Enumerable.Range(0, Math.Min(LinkMeter.MaxPairs, workers.Count - 1))
            .ToDictionary(a => (workers[a].Host, workers[a + 1].Host), a => new Link(400e-6 * (1 + 1e-4 * a), 1.25e9));
}
