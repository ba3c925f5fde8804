using System.Diagnostics;
using System.Numerics;
using System.Runtime.InteropServices;
using LlamaCluster.Cluster.Activations;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Links.Peers;
using LlamaCluster.Worker.Links.Ranks;
using static LlamaCluster.Protos.RankFrame.Types;

namespace LlamaCluster.Worker.Links.Sums;

/// <summary>
/// Sums and gathers over links to all other ranks, on the thread that computes.
/// <para>
/// Two ranks send each other what they have, and both add. More than two share the adding: each sums one part of the columns for all, and
/// sends the sum to the others. Either way the terms are added in rank order, and every rank takes every term, its own included, as it
/// comes out of a message: so all ranks hold the same bits, also where sums travel rounded.
/// </para>
/// </summary>
sealed class LinkExchange(GroupShape shape)
{
    /// <summary>Tiles that may be sent ahead of the ones that are waited for. A peer can be as far ahead, so a link holds twice that and one each.</summary>
    const int Ahead = 2;

    readonly byte[] _message = new byte[IPeerLink.MaxPayload];
    readonly float[] _sum = new float[IPeerLink.MaxPayload / sizeof(float)];
    readonly float[] _term = new float[IPeerLink.MaxPayload / sizeof(float)];
    IPeerLink?[] _links = [];
    ulong _step;
    uint _exchange;
    uint _gathering;

    public int Rank => shape.Rank;

    public int RankCount => shape.RankCount;

    /// <summary>What exchanges took since <see cref="BeginStep"/>: waiting for the slower rank, sending and adding.</summary>
    public TimeSpan Spent { get; private set; }

    Content SumContent => shape.SumType switch
    {
        ActivationType.F32 => Content.SumF32,
        ActivationType.Bf16 => Content.SumBf16,
        _ => Content.SumQ8,
    };

    /// <param name="links">By rank; null at this one's own place.</param>
    public void Connect(IPeerLink?[] links) => _links = links;

    public void BeginStep(ulong stepId) => (_step, _exchange, _gathering, Spent) = (stepId, 0, 0, TimeSpan.Zero);

    /// <summary>values[rows, width] of all ranks are added, in place, and are the same on all of them then.</summary>
    /// <exception cref="PeerLinkException">A rank is lost, or sent something else than is due.</exception>
    public void AllReduce(Span<float> values, int rows, int width)
    {
        var begun = Stopwatch.GetTimestamp();
        if (RankCount == 2) SumDirectly(values, new SumTiles(rows, width, 1), width);
        else SumInParts(values, new SumTiles(rows, width, RankCount), width);
        _exchange++;
        Spent += Stopwatch.GetElapsedTime(begun);
    }

    void SumDirectly(Span<float> values, in SumTiles tiles, int width)
    {
        var link = _links[1 - Rank]!;
        for (var i = 0; i < tiles.Count + Ahead; i++)
        {
            if (i < tiles.Count) SendOwn(link, values, tiles[i], width, (uint)i);
            if (i >= Ahead) AddTerm(link, values, tiles[i - Ahead], width, (uint)(i - Ahead));
        }
    }

    void SendOwn(IPeerLink link, Span<float> values, SumTile tile, int width, uint chunk)
    {
        Send(link, tile, values, width, chunk);
        // The peer adds what the message says, so this rank must, too.
        if (shape.SumType != ActivationType.F32) tile.Decode(shape.SumType, _message.AsSpan(0, tile.Bytes(shape.SumType)), values, width);
    }

    /// <summary>Of two terms the order does not matter to the sum.</summary>
    void AddTerm(IPeerLink link, Span<float> values, SumTile tile, int width, uint chunk)
    {
        Receive(link, tile, _term, chunk);
        for (var row = 0; row < tile.Rows; row++) Add(tile.Row(values, width, row), _term.AsSpan(row * tile.Columns, tile.Columns));
    }

    void SumInParts(Span<float> values, in SumTiles tiles, int width)
    {
        if (tiles.Count > 0) Scatter(values, tiles, 0, width);
        for (var i = 0; i < tiles.Count; i++)
        {
            SumOwnPart(values, tiles.Part(tiles[i], Rank), width, (uint)i);
            if (i + 1 < tiles.Count) Scatter(values, tiles, i + 1, width);
            for (var rank = 0; rank < RankCount; rank++)
                if (rank != Rank) TakePart(_links[rank]!, values, tiles.Part(tiles[i], rank), width, (uint)i);
        }
    }

    /// <summary>To every rank this one's term of the part that it sums.</summary>
    void Scatter(Span<float> values, in SumTiles tiles, int index, int width)
    {
        for (var rank = 0; rank < RankCount; rank++)
            if (rank != Rank && tiles.Part(tiles[index], rank) is { Columns: > 0 } part)
                Send(_links[rank]!, part, values, width, (uint)index);
    }

    void SumOwnPart(Span<float> values, SumTile part, int width, uint chunk)
    {
        if (part.Columns == 0) return;
        var sum = _sum.AsSpan(0, part.Values);
        var term = _term.AsSpan(0, part.Values);
        for (var rank = 0; rank < RankCount; rank++)
        {
            var into = rank == 0 ? sum : term;
            if (rank == Rank) TakeOwn(values, part, width, into);
            else Receive(_links[rank]!, part, into, chunk);
            if (rank > 0) Add(sum, term);
        }
        var payload = _message.AsSpan(0, part.Bytes(shape.SumType));
        ActivationCodec.Encode(shape.SumType, sum, part.Columns, payload);
        for (var rank = 0; rank < RankCount; rank++)
            if (rank != Rank) _links[rank]!.Send(Header(chunk), payload);
        part.Decode(shape.SumType, payload, values, width);
    }

    /// <summary>This rank's own term as it would come out of a message.</summary>
    void TakeOwn(Span<float> values, SumTile part, int width, Span<float> term)
    {
        var payload = _message.AsSpan(0, part.Bytes(shape.SumType));
        part.Encode(shape.SumType, values, width, payload);
        ActivationCodec.Decode(shape.SumType, payload, part.Columns, term);
    }

    void TakePart(IPeerLink link, Span<float> values, SumTile part, int width, uint chunk)
    {
        if (part.Columns == 0) return;
        var payload = _message.AsSpan(0, part.Bytes(shape.SumType));
        ReceiveExactly(link, payload, Header(chunk));
        part.Decode(shape.SumType, payload, values, width);
    }

    void Send(IPeerLink link, SumTile tile, Span<float> values, int width, uint chunk)
    {
        var payload = _message.AsSpan(0, tile.Bytes(shape.SumType));
        tile.Encode(shape.SumType, values, width, payload);
        link.Send(Header(chunk), payload);
    }

    void Receive(IPeerLink link, SumTile tile, Span<float> term, uint chunk)
    {
        var payload = _message.AsSpan(0, tile.Bytes(shape.SumType));
        ReceiveExactly(link, payload, Header(chunk));
        ActivationCodec.Decode(shape.SumType, payload, tile.Columns, term[..tile.Values]);
    }

    LinkHeader Header(uint chunk) =>
        new(shape.ViewVersion, _step, SumContent, (uint)shape.Shard.Layers.First + _exchange / 2, (byte)(_exchange % 2), chunk);

    static void ReceiveExactly(IPeerLink link, Span<byte> payload, in LinkHeader due)
    {
        var length = link.Receive(out var header, payload);
        if (header == due && length == payload.Length) return;
        var problem = $"{link.Peer} sent {length} bytes of {header}, where {payload.Length} bytes of {due} were due";
        link.Close(problem);
        throw new PeerLinkException(problem);
    }

    static void Add(Span<float> sum, ReadOnlySpan<float> term)
    {
        var sums = MemoryMarshal.Cast<float, Vector<float>>(sum);
        var terms = MemoryMarshal.Cast<float, Vector<float>>(term);
        for (var i = 0; i < sums.Length; i++) sums[i] += terms[i];
        for (var i = sums.Length * Vector<float>.Count; i < sum.Length; i++) sum[i] += term[i];
    }
}
