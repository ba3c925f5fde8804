using LlamaCluster.Cli.Bench;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Cli.Tests.Bench;

public sealed class StageFiguresTests
{
    /// <summary>The last third of a 405B model: its head takes as long as two thirds of a layer.</summary>
    static readonly StageFacts Facts = new(
        new LayerRange(84, 42), Ranks: 2, WeightBytes: 42 * 1_800_000_000L + 1_200_000_000, LayerBytes: 1.8e9, KvBlockBytes: 42 * 65_536);

    static readonly StageLoad Load = new(
        2, BusyFraction: 0.3, ComputeSeconds: 2.9, SyncSeconds: 0.1, PauseSeconds: 6, ActivationBytes: 131_072, SyncBytes: 5_505_024);

    readonly StageFigures _stage = new(Facts, Load, Threads: 2, MemoryBytesPerSecond: 32e9);

    [Fact]
    public void A_layer_has_its_part_of_computing_and_exchanges()
    {
        Assert.Equal(3 / (42 + 2 / 3.0), _stage.SecondsPerLayer, 1e-12);
        Assert.Equal(76.8e9 / 3, _stage.WeightBytesPerSecond, 1);
        Assert.Equal(0.8, _stage.FractionOfMemory, 1e-12);
        Assert.Equal(42 * 4096, _stage.KvBytesPerToken);
    }

    [Fact]
    public void Says_it_in_lines_and_in_json()
    {
        Assert.Equal(
            [
                "stage 2      layers 84..125 on 2 ranks: busy 30.0 %, a step takes 2900.00 ms and 100.00 ms of exchanges between its ranks, "
                    + "the pause after it 6000.00 ms",
                "  70.31 ms a layer, 25.60 GB/s of weights, 80 % of the 32.00 GB/s of plain reads by 2 threads",
                "  a token: 131072 bytes to the next stage, 5505024 bytes from a rank to the others, 172032 bytes of KV cache",
            ],
            _stage.Lines());
        var json = _stage.Json();
        Assert.Equal((2, 84, 42, 2), ((int)json["stage"]!, (int)json["first_layer"]!, (int)json["layers"]!, (int)json["ranks"]!));
        Assert.Equal(
            (131_072, 5_505_024, 172_032),
            ((double)json["activation_bytes_per_token"]!, (double)json["tensor_sync_bytes_per_token"]!, (double)json["kv_bytes_per_token"]!));
    }
}
