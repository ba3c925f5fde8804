using LlamaCluster.Text.Tokenization;

namespace LlamaCluster.Model.Formats.HuggingFace.Tokenizers;

/// <summary>
/// Reads an added token as tokenizer.json and tokenizer_config.json describe it. Its field <c>normalized</c> asks to look for the
/// token after spaces were replaced and one was put in front, which finds it only behind a space: an old mistake of many
/// files, corrected later. Every token is looked for in the text as it is written, as llama.cpp does.
/// </summary>
static class AddedTokenFields
{
    public static AddedToken Read(JsonFields fields, int id) => new(id, fields.GetString("content"))
    {
        IsSpecial = fields.FindBoolean("special") ?? false,
        StripsLeft = fields.FindBoolean("lstrip") ?? false,
        StripsRight = fields.FindBoolean("rstrip") ?? false,
        SingleWord = fields.FindBoolean("single_word") ?? false,
    };
}
