using System.Security.Cryptography;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats;

/// <summary>
/// The hash of a part's stored bytes, as 64 digits of lower-case hex. It is the SHA-256 of the SHA-256s of the part's pieces, in order. So several
/// threads can hash one part, each the pieces that it reads anyway. Weights that are quantised while they are read are hashed as they come out.
/// </summary>
public static class PartHash
{
    /// <summary>Bytes of the hash of a piece.</summary>
    public const int PieceHashBytes = SHA256.HashSizeInBytes;

    /// <param name="pieceHashes">The SHA-256s of all pieces, one after the other.</param>
    public static string Of(ReadOnlySpan<byte> pieceHashes) => Convert.ToHexStringLower(SHA256.HashData(pieceHashes));

    /// <summary>Writes the SHA-256 of a piece to its place among those of its part.</summary>
    public static void HashPiece(ReadOnlySpan<byte> stored, int index, Span<byte> pieceHashes) =>
        SHA256.HashData(stored, pieceHashes.Slice(index * PieceHashBytes, PieceHashBytes));

    /// <summary>Reads a part and hashes it, on several threads of the pool.</summary>
    /// <param name="bytesRead">Told how many bytes are done so far, from any thread.</param>
    /// <exception cref="ModelFormatException">The data cannot be read.</exception>
    public static string Compute(IModelWeights weights, TensorPart part, int threads, IProgress<long>? bytesRead, CancellationToken cancellation)
    {
        var hashes = new byte[part.PieceCount * PieceHashBytes];
        var done = 0L;
        try
        {
            var parallel = new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancellation };
            Parallel.For(0, part.PieceCount, parallel, () => Array.Empty<byte>(), (index, _, buffer) =>
            {
                var piece = part.PieceAt(index);
                if (buffer.Length < piece.Bytes) buffer = GC.AllocateUninitializedArray<byte>((int)piece.Bytes);
                var stored = buffer.AsSpan(0, (int)piece.Bytes);
                weights.ReadPart(piece, stored);
                HashPiece(stored, index, hashes);
                bytesRead?.Report(Interlocked.Add(ref done, stored.Length));
                return buffer;
            }, _ => { });
        }
        catch (AggregateException e) when (e.InnerExceptions.OfType<ModelFormatException>().FirstOrDefault() is { } unreadable)
        {
            throw new ModelFormatException(unreadable.Message, e);
        }
        return Of(hashes);
    }
}

/// <summary>Makes the <see cref="PartHash"/> of a part whose bytes come one after the other, cut anyhow.</summary>
public sealed class PartHasher(TensorPart part) : IDisposable
{
    readonly IncrementalHash _pieces = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    readonly IncrementalHash _piece = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    readonly long _pieceBytes = part.PieceRows * part.RowBytes;
    long _inPiece;

    public void Append(ReadOnlySpan<byte> stored)
    {
        while (!stored.IsEmpty)
        {
            var count = (int)Math.Min(stored.Length, _pieceBytes - _inPiece);
            _piece.AppendData(stored[..count]);
            _inPiece += count;
            if (_inPiece == _pieceBytes) EndPiece();
            stored = stored[count..];
        }
    }

    /// <summary>The hash of all that was appended. To be called once.</summary>
    public string Finish()
    {
        if (_inPiece > 0) EndPiece();
        return Convert.ToHexStringLower(_pieces.GetHashAndReset());
    }

    public void Dispose()
    {
        _pieces.Dispose();
        _piece.Dispose();
    }

    void EndPiece()
    {
        Span<byte> hash = stackalloc byte[PartHash.PieceHashBytes];
        _piece.GetHashAndReset(hash);
        _pieces.AppendData(hash);
        _inPiece = 0;
    }
}
