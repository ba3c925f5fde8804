using LlamaCluster.Coordinator.Observing;

namespace LlamaCluster.Cli.Tests.Observing;

/// <summary>A cluster of two stages on two machines, as /v1/cluster tells of it.</summary>
static class Snapshots
{
    static readonly PartFacts Parts = new(0.02, 0.004, 0.003, 0, 0.001, 0.002);

    public static ClusterSnapshot Two { get; } = new(
        1_800_000_000, 3700, "head", new ModelFacts("llama-8b", "ab", 8_000_000_000, 4_900_000_000, "Q4_K", 32, 8192, "f16"),
        new CountsByState(2, 2, 0, 0, 0, 0),
        [Worker("w1", "alpha", 0), Worker("w2", "beta", 1)],
        [
            new ReplicaFacts(
                "replica-0", true, false, "ready", "", new ViewFacts(1_000_000_002, true), [Stage(0, "w1", 0.42), Stage(1, "w2", 0.4)],
                [new LinkFacts("w1", "w2", "activations", false, 0.0003, 1.25e9, 2_500_000)],
                new PlanFacts("llama-8b", "throughput", 8, 512, "2 stages of 1 worker", "reading weights 70 %", 0.03, Parts, Parts, 256, 1.5, 512, 0.2, [], []),
                new LoadFacts(3, 64, 1, 512, 128, 64, 320, 16, 2, 0), new TotalFacts(100, 900, 300, 300, 150, 0, 0, 0, new Dictionary<string, long>()),
                new RateFacts(1, 61.5, 12, 20, 3),
                new LatencyFacts(new QuantileFacts(4, 0.35, 1.2), new QuantileFacts(4, 0.05, 0.08)), new RecoveryFacts(null, "", null),
                [
                    new ViewLogFacts(1_000_000_001, 3, 3, 512, "", 1_799_999_000, 1_799_999_004, 1_799_999_500,
                        "worker gamma was lost: its heartbeat stream ended", false),
                    new ViewLogFacts(1_000_000_002, 2, 2, 512, "", 1_799_999_501, 1_799_999_503, null, "", false),
                ]),
        ]);

    public static WorkerFacts Worker(string id, string name, int? stage, string state = "serving", string problem = "") => new(
        id, name, $"http://{name}:9091", name, state, problem,
        stage is null ? null : "replica-0", stage, stage is null ? null : 0, 16_000_000_000, 8, 4e10, 1e11, "avx2", "0.1.0", null);

    public static ClusterSnapshot With(this ClusterSnapshot cluster, params WorkerFacts[] more) => cluster with { Workers = [.. cluster.Workers, .. more] };

    public static ClusterSnapshot With(this ClusterSnapshot cluster, Func<ReplicaFacts, ReplicaFacts> change) =>
        cluster with { Replicas = [change(cluster.Replicas[0])] };

    static StageFacts Stage(int stage, string worker, double busy) =>
        new(stage, 16 * stage, 16, null, [new RankFacts(0, worker, 1, 2_500_000_000, 500_000_000, 100_000_000, busy, 0.02, 2_500_000, 0)]);
}
