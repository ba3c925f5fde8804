using LlamaCluster.Kernels.Attention;

namespace LlamaCluster.Model.Sequences;

/// <summary>What is known of the blocks that a stage leaves behind.</summary>
/// <param name="FirstLayer">Of the layers that hold them.</param>
/// <param name="EndLayer">The layer after their last.</param>
/// <param name="From">
/// By block id: the first layer from which on all of its positions hold keys and values that can be used, in all of these layers up to the last one;
/// <paramref name="EndLayer"/>: in none.
/// </param>
public sealed record KeptStates(int FirstLayer, int EndLayer, int[] From)
{
    /// <summary>The stage before this one left them, and this one has not put anything into any block.</summary>
    public bool AreInherited { get; init; }

    /// <summary>Whether a block can be used in all of these layers.</summary>
    public bool IsWhole(int block) => From[block] <= FirstLayer;

    /// <summary>As above, of the layers that a range has too. There may be none.</summary>
    public KeptStates Within(int firstLayer, int endLayer)
    {
        var first = Math.Max(FirstLayer, firstLayer);
        var end = Math.Max(first, Math.Min(EndLayer, endLayer));
        return (first, end) == (FirstLayer, EndLayer) ? this
            : this with { FirstLayer = first, EndLayer = end, From = [.. From.Select(from => Math.Clamp(from, first, end))] };
    }

    /// <summary>Of these layers together with those that begin where these end, or before, and go further up.</summary>
    public KeptStates Below(KeptStates upper)
    {
        var from = new int[Math.Min(From.Length, upper.From.Length)];
        for (var block = 0; block < from.Length; block++)
            from[block] = upper.From[block] > upper.FirstLayer ? upper.From[block] : Math.Min(upper.FirstLayer, From[block]);
        return new KeptStates(Math.Min(FirstLayer, upper.FirstLayer), upper.EndLayer, from);
    }
}

/// <summary>
/// The KV of a stage that runs no more, for one that goes on with some of its layers: blocks keep their ids and what they hold. Not safe for concurrent use.
/// </summary>
public sealed class KeptBlocks : IDisposable
{
    readonly KvLayer?[] _layers;
    readonly int _first;

    /// <param name="layers">From the first one of <paramref name="states"/> on, one for each. They are owned from now on. Null: it is not here.</param>
    public KeptBlocks(KeptStates states, IReadOnlyList<KvLayer?> layers)
    {
        if (layers.Count != states.EndLayer - states.FirstLayer) throw new ArgumentException($"{layers.Count} layers for {states}", nameof(layers));
        (States, _layers, _first) = (states, [.. layers], states.FirstLayer);
    }

    public KeptStates States { get; private set; }

    /// <summary>No layer is left.</summary>
    public bool IsEmpty => Array.TrueForAll(_layers, layer => layer is null);

    /// <summary>Bytes of memory that is not freed yet.</summary>
    public long Bytes => _layers.Sum(layer => layer?.Bytes ?? 0);

    /// <summary>Blocks of each layer.</summary>
    public int BlockCount => States.From.Length;

    /// <summary>Whether the layers of a range that are here have these layouts.</summary>
    /// <param name="layoutOf">By layer.</param>
    public bool HasLayouts(int firstLayer, int endLayer, Func<int, KvBlockLayout> layoutOf)
    {
        for (var number = Math.Max(firstLayer, _first); number < Math.Min(endLayer, _first + _layers.Length); number++)
            if (_layers[number - _first] is { } layer && layer.Layout != layoutOf(number)) return false;
        return true;
    }

    /// <summary>Bytes of one block over a range of layers; null if some of them are not here.</summary>
    public long? BlockBytes(int firstLayer, int endLayer)
    {
        var bytes = 0L;
        for (var number = firstLayer; number < endLayer; number++)
        {
            if (number < _first || number >= _first + _layers.Length || _layers[number - _first] is not { } layer) return null;
            bytes += layer.Layout.Bytes;
        }
        return bytes;
    }

    /// <summary>Layers in which no block holds anything yet.</summary>
    /// <param name="layoutOf">By layer.</param>
    public static KeptBlocks Blank(Func<int, KvBlockLayout> layoutOf, int firstLayer, int endLayer, int blocks)
    {
        var from = new int[blocks];
        Array.Fill(from, endLayer);
        return new KeptBlocks(
            new KeptStates(firstLayer, endLayer, from),
            [.. Enumerable.Range(firstLayer, endLayer - firstLayer).Select(layer => new KvLayer(layoutOf(layer), blocks))]);
    }

    /// <summary>Puts layers together, of which each is in one of two, of one rank's slices. Both are used up.</summary>
    /// <returns>The upper ones alone, if others are missing between: what is not there up to the last layer is of no use.</returns>
    public static KeptBlocks Join(KeptBlocks one, KeptBlocks other)
    {
        var (lower, upper) = one.States.EndLayer < other.States.EndLayer ? (one, other) : (other, one);
        if (lower.States.EndLayer < upper.States.FirstLayer)
        {
            lower.Dispose();
            return upper;
        }
        var blocks = Math.Min(lower.BlockCount, upper.BlockCount);
        lower.KeepFirst(blocks);
        upper.KeepFirst(blocks);
        var states = lower.States.Below(upper.States);
        var layers = Enumerable.Range(states.FirstLayer, states.EndLayer - states.FirstLayer)
            .Select(layer => upper.Take(layer, blocks) ?? lower.Take(layer, blocks)).ToList();
        lower.Dispose();
        upper.Dispose();
        return new KeptBlocks(states, layers);
    }

    /// <summary>Gives up all other layers.</summary>
    public void KeepOnly(int firstLayer, int endLayer)
    {
        States = States.Within(firstLayer, endLayer);
        for (var i = 0; i < _layers.Length; i++)
        {
            if (_first + i >= States.FirstLayer && _first + i < States.EndLayer) continue;
            _layers[i]?.Dispose();
            _layers[i] = null;
        }
    }

    /// <summary>Gives up blocks whose ids are higher, and their memory.</summary>
    /// <param name="blocks">So many are left at most.</param>
    public void KeepFirst(int blocks)
    {
        if (blocks >= BlockCount) return;
        States = States with { From = States.From[..blocks] };
        for (var i = 0; i < _layers.Length; i++) _layers[i] = _layers[i]?.Resize(blocks);
    }

    /// <summary>Takes out the layers that a range has too. The others stay.</summary>
    /// <returns>Null if there are none.</returns>
    public KeptBlocks? TakeOut(int firstLayer, int endLayer)
    {
        var states = States.Within(firstLayer, endLayer);
        if (states.FirstLayer == states.EndLayer) return null;
        return new KeptBlocks(states, [.. Enumerable.Range(states.FirstLayer, states.EndLayer - states.FirstLayer).Select(TakeLayer)]);
    }

    /// <summary>Copies out what a block holds, layer after layer.</summary>
    /// <param name="destination">[<see cref="BlockBytes"/>]</param>
    /// <returns>False, and nothing is copied, if some of it is not here or cannot be used.</returns>
    public bool TryCopyOut(int block, int firstLayer, int endLayer, Span<byte> destination)
    {
        if ((uint)block >= (uint)BlockCount || firstLayer < States.FirstLayer || endLayer > States.EndLayer || States.From[block] > firstLayer) return false;
        for (var layer = firstLayer; layer < endLayer; layer++)
            if (_layers[layer - _first] is null) return false;
        for (var layer = firstLayer; layer < endLayer; layer++)
        {
            var bytes = _layers[layer - _first]!.Block(block);
            bytes.CopyTo(destination);
            destination = destination[bytes.Length..];
        }
        return true;
    }

    /// <summary>A block holds from now on, in all layers, what one held that was copied out elsewhere.</summary>
    /// <param name="source">[<see cref="BlockBytes"/> of all layers]</param>
    public void CopyIn(int block, ReadOnlySpan<byte> source)
    {
        foreach (var layer in _layers)
        {
            var bytes = layer!.Block(block);
            source[..bytes.Length].CopyTo(bytes);
            source = source[bytes.Length..];
        }
        States.From[block] = States.FirstLayer;
    }

    /// <summary>Hands a layer over, with as many blocks as are wanted.</summary>
    /// <returns>Null if it is not here.</returns>
    internal KvLayer? Take(int layer, int blocks) =>
        layer < States.FirstLayer || layer >= States.EndLayer ? null : TakeLayer(layer)?.Resize(blocks);

    /// <summary>Frees the layers that were not taken.</summary>
    public void Dispose()
    {
        foreach (var layer in _layers) layer?.Dispose();
        Array.Clear(_layers);
    }

    KvLayer? TakeLayer(int layer)
    {
        var taken = _layers[layer - _first];
        _layers[layer - _first] = null;
        return taken;
    }
}
