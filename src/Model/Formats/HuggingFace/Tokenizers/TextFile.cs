using System.Text;

namespace LlamaCluster.Model.Formats.HuggingFace.Tokenizers;

/// <summary>Reads a text file of bounded size.</summary>
static class TextFile
{
    const int MaxBytes = 4 << 20;

    static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public static string Read(string path)
    {
        using var file = ModelFile.Open(path);
        if (file.Length > MaxBytes) throw file.Error($"has {file.Length} bytes, more than the {MaxBytes} allowed");
        var bytes = new byte[file.Length];
        file.Read(0, bytes);
        try
        {
            return StrictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            throw file.Error("is not UTF-8", e);
        }
    }
}
