using System.Numerics;
using System.Runtime.InteropServices;
using LlamaCluster.Cluster.Activations;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Peers;
using static LlamaCluster.Protos.RankFrame.Types;

namespace LlamaCluster.Worker.Ranks;

/// <summary>
/// Sends and receives numbers as messages on the links to the other ranks. All ranks do the same in the same order, so a message that arrives
/// must be exactly the one that is due.
/// </summary>
sealed class SumWire(GroupShape shape)
{
    readonly byte[] _payload = new byte[IPeerLink.MaxPayload];
    readonly Content _content = shape.SumType switch
    {
        ActivationType.F32 => Content.SumF32,
        ActivationType.Bf16 => Content.SumBf16,
        ActivationType.Q8 => Content.SumQ8,
        _ => throw new ArgumentOutOfRangeException(nameof(shape), shape.SumType, "sums do not travel like that"),
    };

    IPeerLink?[] _links = [];
    ulong _step;

    public int Rank => shape.Rank;

    public int RankCount => shape.RankCount;

    /// <summary>Whether numbers change in a message, because they travel rounded.</summary>
    public bool Rounds => shape.SumType != ActivationType.F32;

    /// <summary>Exchanges that were begun in this step: sums and gathered messages.</summary>
    public uint Begun { get; private set; }

    /// <summary>Payload of this step's messages, to all other ranks together.</summary>
    public long SentBytes { get; private set; }

    public void Connect(IReadOnlyList<IPeerLink?> links) => _links = [.. links];

    public void BeginStep(ulong stepId) => (_step, Begun, SentBytes) = (stepId, 0, 0);

    /// <returns>The number of a new exchange within the step.</returns>
    public uint NextExchange() => Begun++;

    /// <param name="values">At most <see cref="SumChunks.MessageValues"/>.</param>
    /// <exception cref="RankLostException">The rank is gone.</exception>
    public void Send(int rank, ReadOnlySpan<float> values, uint exchange, int chunk) => Send(rank, Encode(values), Header(_content, exchange, chunk));

    /// <summary>Sends the same values to all other ranks.</summary>
    public void SendToAll(ReadOnlySpan<float> values, uint exchange, int chunk)
    {
        var payload = Encode(values);
        for (var rank = 0; rank < RankCount; rank++)
            if (rank != Rank) Send(rank, payload, Header(_content, exchange, chunk));
    }

    /// <param name="values">As many as are due.</param>
    /// <exception cref="RankLostException">The rank is gone, sent nothing in time, or something else.</exception>
    public void Receive(int rank, Span<float> values, uint exchange, int chunk)
    {
        var payload = _payload.AsSpan(0, ActivationCodec.RowBytes(shape.SumType, values.Length));
        var header = Header(_content, exchange, chunk);
        var length = Receive(rank, payload, header);
        if (length != payload.Length) throw Confused(rank, $"{length} bytes of {header}, where {payload.Length} were due");
        ActivationCodec.Decode(shape.SumType, payload, values.Length, values);
    }

    /// <summary>Rounds values as a message with them would.</summary>
    public void Round(ReadOnlySpan<float> values, Span<float> rounded)
    {
        if (Rounds) ActivationCodec.Decode(shape.SumType, Encode(values), values.Length, rounded);
        else values.CopyTo(rounded);
    }

    public void SendPart(int rank, ReadOnlySpan<byte> part, uint exchange, int chunk) => Send(rank, part, Header(Content.Gathered, exchange, chunk));

    /// <returns>Bytes of the part.</returns>
    public int ReceivePart(int rank, Span<byte> part, uint exchange, int chunk) => Receive(rank, part, Header(Content.Gathered, exchange, chunk));

    /// <summary>Closes the link to a rank that does something else than this one.</summary>
    public RankLostException Confused(int rank, string sent)
    {
        var problem = $"{_links[rank]!.Peer} sent {sent}";
        _links[rank]!.Close(problem);
        return new RankLostException(rank, problem);
    }

    public static void Add(Span<float> sum, ReadOnlySpan<float> term)
    {
        var sums = MemoryMarshal.Cast<float, Vector<float>>(sum);
        var terms = MemoryMarshal.Cast<float, Vector<float>>(term);
        for (var i = 0; i < sums.Length; i++) sums[i] += terms[i];
        for (var i = sums.Length * Vector<float>.Count; i < sum.Length; i++) sum[i] += term[i];
    }

    ReadOnlySpan<byte> Encode(ReadOnlySpan<float> values)
    {
        var payload = _payload.AsSpan(0, ActivationCodec.RowBytes(shape.SumType, values.Length));
        ActivationCodec.Encode(shape.SumType, values, values.Length, payload);
        return payload;
    }

    LinkHeader Header(Content content, uint exchange, int chunk) => new(shape.ViewVersion, _step, content, exchange, (uint)chunk);

    void Send(int rank, ReadOnlySpan<byte> payload, in LinkHeader header)
    {
        try
        {
            _links[rank]!.Send(header, payload);
            SentBytes += payload.Length;
        }
        catch (PeerLinkException e)
        {
            throw new RankLostException(rank, e.Message, e);
        }
    }

    int Receive(int rank, Span<byte> payload, in LinkHeader due)
    {
        try
        {
            var length = _links[rank]!.Receive(out var header, payload);
            return header == due ? length : throw Confused(rank, $"{header}, where {due} was due");
        }
        catch (PeerLinkException e)
        {
            throw new RankLostException(rank, e.Message, e);
        }
    }
}
