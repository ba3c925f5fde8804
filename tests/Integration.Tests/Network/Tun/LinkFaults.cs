using System.Net;

namespace LlamaCluster.Integration.Tests.Network.Tun;

/// <summary>What becomes of packets between machines, while these run: links change their shape, are cut, and heal. Safe to use from any thread.</summary>
/// <param name="shape">Of all links at first.</param>
sealed class LinkFaults(LinkShape shape, int seed)
{
    readonly Random _random = new(seed);   // the switch's thread only
    readonly Lock _lock = new();
    volatile LinkShape _shape = shape;
    volatile IReadOnlyList<LinkCut> _cuts = [];

    public LinkShape Shape
    {
        get => _shape;
        set => _shape = value;
    }

    public void Begin(LinkCut cut)
    {
        lock (_lock) _cuts = [.. _cuts, cut];
    }

    public void Heal(LinkCut cut)
    {
        lock (_lock) _cuts = [.. _cuts.Where(other => other != cut)];
    }

    /// <summary>For the switch: how often a packet arrives.</summary>
    public int CopiesOf(in PacketHeader header, int bytes)
    {
        foreach (var cut in _cuts)
            if (cut.Swallows(header, bytes)) return 0;
        var shape = _shape;
        if (shape.Loss > 0 && _random.NextDouble() < shape.Loss) return 0;
        return shape.Duplicates > 0 && _random.NextDouble() < shape.Duplicates ? 2 : 1;
    }
}

/// <summary>A link that swallows packets in both directions, without a word to either end.</summary>
/// <param name="one">A machine.</param>
/// <param name="other">The other end; null: all others.</param>
/// <param name="port">Only connections that have it at either end; null: all.</param>
/// <param name="after">Bytes that pass before the cut.</param>
sealed class LinkCut(IPAddress one, IPAddress? other, int? port, long after = 0)
{
    readonly uint _one = PacketHeader.NumberOf(one);
    readonly uint? _other = other is null ? null : PacketHeader.NumberOf(other);
    readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    long _passed;   // the switch's thread only

    /// <summary>Completes with the first packet that is swallowed.</summary>
    public Task Begun => _begun.Task;

    public override string ToString()
        => $"{one} - {other?.ToString() ?? "all"}{(port is null ? "" : $", port {port}")}{(after == 0 ? "" : $", after {after} bytes")}";

    internal bool Swallows(in PacketHeader header, int bytes)
    {
        if (!IsBetween(header.Source, header.Destination) && !IsBetween(header.Destination, header.Source)) return false;
        if (port is { } only && header.SourcePort != only && header.DestinationPort != only) return false;
        _passed += bytes;
        if (_passed <= after) return false;
        _begun.TrySetResult();
        return true;
    }

    bool IsBetween(uint from, uint to) => from == _one && (_other is null || to == _other);
}
