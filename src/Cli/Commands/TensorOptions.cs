using System.CommandLine;
using LlamaCluster.Protos;
using LlamaCluster.Worker;

namespace LlamaCluster.Cli.Commands;

/// <summary>Options of tensor parallelism that several commands have.</summary>
static class TensorOptions
{
    public const string PeerLinkName = "--peer-link";

    public static Option<int> Parallel() => new("--tensor-parallel")
    {
        HelpName = "T",
        Description = "workers that share each stage; where they do not divide evenly, fewer share the last one",
        DefaultValueFactory = _ => 1,
    };

    public static Option<ActivationType> SumType() => EnumOption.Create(
        "--sum-type", "how partial sums travel between workers that share a stage; less than f32 rounds them",
        ("f32", ActivationType.F32), ("bf16", ActivationType.Bf16), ("q8", ActivationType.Q8));

    public static Option<PeerLinkPreference> PeerLink() => EnumOption.Create(
        PeerLinkName, "what workers that share a stage exchange partial sums over; auto: the faster, measured",
        ("auto", PeerLinkPreference.Auto), ("grpc", PeerLinkPreference.Grpc), ("tcp", PeerLinkPreference.Tcp));
}
