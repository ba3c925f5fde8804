using System.Buffers.Binary;
using System.Numerics;

namespace LlamaCluster.Worker.Ranks;

/// <summary>
/// Every rank gives all others one message of any length. A message travels in pieces, and the first piece begins with the length (i32). All
/// ranks send one piece, then receive one from each other rank, and so on.
/// </summary>
sealed class GatheredMessages(SumWire wire)
{
    /// <summary>The most bytes of a message. Nothing is allocated for one that claims more.</summary>
    const int MaxLength = 1 << 28;

    const int Piece = 32 << 10;

    readonly byte[] _piece = new byte[Piece];
    readonly byte[][] _messages = [.. Enumerable.Repeat(Array.Empty<byte>(), wire.RankCount)];
    readonly int[] _lengths = new int[wire.RankCount];

    public ReadOnlySpan<byte> Of(int rank) => _messages[rank].AsSpan(0, _lengths[rank]);

    public void Exchange(ReadOnlySpan<byte> own)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(own.Length, MaxLength);
        var exchange = wire.NextExchange();
        Keep(wire.Rank, own.Length);
        own.CopyTo(_messages[wire.Rank]);
        var most = 1;
        for (var piece = 0; piece < most; piece++)
        {
            Send(exchange, piece);
            for (var rank = 0; rank < wire.RankCount; rank++)
            {
                if (rank == wire.Rank || piece > 0 && piece >= Pieces(_lengths[rank])) continue;
                Take(rank, exchange, piece);
            }
            most = Pieces(_lengths.Max());
        }
    }

    static int Pieces(int length) => (int)(((long)sizeof(int) + length + Piece - 1) / Piece);

    /// <summary>Where in a message a piece begins. The length, which stands before the message, takes some of piece 0.</summary>
    static int Offset(int piece) => piece == 0 ? 0 : piece * Piece - sizeof(int);

    static int Bytes(int length, int piece) => Math.Min(Offset(piece + 1), length) - Offset(piece);

    void Keep(int rank, int length)
    {
        _lengths[rank] = length;
        if (_messages[rank].Length < length) _messages[rank] = new byte[BitOperations.RoundUpToPowerOf2((uint)length)];
    }

    void Send(uint exchange, int piece)
    {
        var own = Of(wire.Rank);
        if (piece >= Pieces(own.Length)) return;
        var head = piece == 0 ? sizeof(int) : 0;
        if (piece == 0) BinaryPrimitives.WriteInt32LittleEndian(_piece, own.Length);
        var bytes = Bytes(own.Length, piece);
        own.Slice(Offset(piece), bytes).CopyTo(_piece.AsSpan(head));
        for (var rank = 0; rank < wire.RankCount; rank++)
            if (rank != wire.Rank) wire.SendPart(rank, _piece.AsSpan(0, head + bytes), exchange, piece);
    }

    void Take(int rank, uint exchange, int piece)
    {
        var received = wire.ReceivePart(rank, _piece, exchange, piece);
        var head = 0;
        if (piece == 0)
        {
            head = sizeof(int);
            var length = received >= head ? BinaryPrimitives.ReadInt32LittleEndian(_piece) : -1;
            if (length is < 0 or > MaxLength) throw wire.Confused(rank, $"a message of {(uint)length} bytes, more than {MaxLength}");
            Keep(rank, length);
        }
        var due = Bytes(_lengths[rank], piece);
        if (received - head != due) throw wire.Confused(rank, $"{received - head} bytes of piece {piece} of a message, where {due} were due");
        _piece.AsSpan(head, due).CopyTo(_messages[rank].AsSpan(Offset(piece)));
    }
}
