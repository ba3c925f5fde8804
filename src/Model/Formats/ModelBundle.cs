using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace LlamaCluster.Model.Formats;

/// <summary>
/// A program with a model behind it, in one file: the program's bytes, zeros up to a multiple of <see cref="Alignment"/>, the model's file, and a trailer of
/// <see cref="TrailerBytes"/> bytes: <see cref="Mark"/>, where the model begins, its length, and the program's length (64 bits each, little endian). The system
/// and .NET look at the beginning of an executable only, so it runs as before. The model is read where it is.
/// </summary>
public static class ModelBundle
{
    const int TrailerBytes = 40;
    const int Alignment = 4096;
    const int CopyBytes = 1 << 20;

    static ReadOnlySpan<byte> Mark => "llamacluster mdl"u8;

    /// <summary>Whether this file is a program with a model in it.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static bool Is(string path)
    {
        using var handle = File.OpenHandle(path);
        return Find(handle, RandomAccess.GetLength(handle)) is not null;
    }

    /// <summary>Writes a program with a model in it. Of a program that has one already, that one is left out.</summary>
    /// <param name="model">A GGUF file.</param>
    /// <param name="target">Replaced at the end, when all is written; executable.</param>
    /// <param name="written">Told the bytes that are written so far.</param>
    /// <exception cref="IOException">A file cannot be read or written.</exception>
    public static void Write(string program, string model, string target, IProgress<long>? written, CancellationToken cancellation)
    {
        var unfinished = $"{target}.unfinished";
        try
        {
            using (var output = new FileStream(unfinished, FileMode.Create, FileAccess.Write, FileShare.None, CopyBytes))
            {
                var programBytes = ProgramBytes(program);
                Copy(program, programBytes, output, written, cancellation);
                output.Write(new byte[(Alignment - (programBytes % Alignment)) % Alignment]);
                var (begin, length) = (output.Position, new FileInfo(model).Length);
                Copy(model, length, output, written, cancellation);
                Span<byte> trailer = stackalloc byte[TrailerBytes];
                Mark.CopyTo(trailer);
                BinaryPrimitives.WriteInt64LittleEndian(trailer[16..], begin);
                BinaryPrimitives.WriteInt64LittleEndian(trailer[24..], length);
                BinaryPrimitives.WriteInt64LittleEndian(trailer[32..], programBytes);
                output.Write(trailer);
            }
            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(unfinished, File.GetUnixFileMode(program));
            File.Move(unfinished, target, overwrite: true);
        }
        finally
        {
            File.Delete(unfinished);
        }
    }

    /// <summary>Where the model is in an open file. Null if it is no program with a model in it.</summary>
    /// <param name="length">Of the file.</param>
    internal static ModelPlace? Find(SafeFileHandle handle, long length)
    {
        if (length < TrailerBytes) return null;
        Span<byte> trailer = stackalloc byte[TrailerBytes];
        if (!TryRead(handle, trailer, length - TrailerBytes) || !trailer.StartsWith(Mark)) return null;
        var begin = BinaryPrimitives.ReadInt64LittleEndian(trailer[16..]);
        var bytes = BinaryPrimitives.ReadInt64LittleEndian(trailer[24..]);
        var program = BinaryPrimitives.ReadInt64LittleEndian(trailer[32..]);
        // A model's own last bytes may look like a trailer. They are one only if all between program and trailer is the model.
        var isBehindProgram = program > 0 && begin >= program && begin - program < Alignment;
        return isBehindProgram && bytes > 0 && begin <= length - TrailerBytes && bytes == length - TrailerBytes - begin
            ? new ModelPlace(begin, bytes, program)
            : null;
    }

    static bool TryRead(SafeFileHandle handle, Span<byte> destination, long offset)
    {
        while (!destination.IsEmpty)
        {
            var count = RandomAccess.Read(handle, destination, offset);
            if (count == 0) return false;
            destination = destination[count..];
            offset += count;
        }
        return true;
    }

    static long ProgramBytes(string program)
    {
        using var handle = File.OpenHandle(program);
        var length = RandomAccess.GetLength(handle);
        return Find(handle, length)?.ProgramBytes ?? length;
    }

    static void Copy(string source, long bytes, FileStream output, IProgress<long>? written, CancellationToken cancellation)
    {
        using var input = File.OpenRead(source);
        var buffer = new byte[CopyBytes];
        while (bytes > 0)
        {
            cancellation.ThrowIfCancellationRequested();
            var count = input.Read(buffer, 0, (int)Math.Min(bytes, buffer.Length));
            if (count == 0) throw new IOException($"{source}: was cut short while it was copied");
            output.Write(buffer, 0, count);
            bytes -= count;
            written?.Report(output.Position);
        }
    }
}

/// <summary>A model within a file.</summary>
/// <param name="Begin">Offset of its first byte.</param>
/// <param name="ProgramBytes">Length of the program before it.</param>
readonly record struct ModelPlace(long Begin, long Length, long ProgramBytes);
