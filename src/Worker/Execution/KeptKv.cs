using Google.Protobuf;
using LlamaCluster.Model.Sequences;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>A view that a worker was part of.</summary>
/// <param name="LastStep">The last one that it ran to its end; 0: none.</param>
readonly record struct RanView(ulong Version, ulong LastStep);

/// <summary>
/// The views after each of which blocks held the same. A view that ends before any block was touched in it, as one does whose workers die while they load,
/// costs nothing: what was there before is still there, and is known under both views.
/// </summary>
/// <param name="Views">Oldest first.</param>
sealed record RanViews(IReadOnlyList<RanView> Views)
{
    /// <summary>The last ones are enough: the coordinator asks for the last view that served.</summary>
    const int Most = 16;

    public static RanViews None { get; } = new([]);

    /// <param name="isUntouched">Nothing was put into a block in this view.</param>
    public RanViews Then(RanView view, bool isUntouched) => new(isUntouched ? [.. Views.TakeLast(Most - 1), view] : [view]);

    /// <summary>What is true of both: of some layers these views, of others those.</summary>
    public RanViews And(RanViews other) => new(
    [
        .. from one in Views
           join its in other.Views on one.Version equals its.Version
           select new RanView(one.Version, Math.Min(one.LastStep, its.LastStep)),
    ]);

    /// <param name="states">Of the blocks, in layers that the worker has.</param>
    public Wire.KeptKv ToMessage(KeptStates states) => new()
    {
        Views = { ToMessages() },
        Layers = { states.From.Append(states.FirstLayer).Where(from => from < states.EndLayer).Distinct().Order().Select(from => LayersFrom(from, states)) },
    };

    public IEnumerable<Wire.RanView> ToMessages() => Views.Select(view => new Wire.RanView { ViewVersion = view.Version, LastStep = view.LastStep });

    static Wire.KeptLayers LayersFrom(int first, KeptStates states)
    {
        var whole = new byte[(states.From.Length + 7) / 8];
        for (var block = 0; block < states.From.Length; block++)
            if (states.From[block] == first) whole[block / 8] |= (byte)(1 << (block % 8));
        return new Wire.KeptLayers
        {
            FirstLayer = (uint)first,
            LayerCount = (uint)(states.EndLayer - first),
            Whole = UnsafeByteOperations.UnsafeWrap(whole),
        };
    }
}

/// <summary>KV that has outlived its view, in memory.</summary>
sealed record KeptKv(KeptBlocks Blocks, RanViews Views) : IDisposable
{
    /// <summary>Puts layers together; see <see cref="KeptBlocks.Join"/>. Of them all is known what is known of both.</summary>
    public static KeptKv Join(KeptKv one, KeptKv other) => new(KeptBlocks.Join(one.Blocks, other.Blocks), one.Views.And(other.Views));

    public void Dispose() => Blocks.Dispose();
}
