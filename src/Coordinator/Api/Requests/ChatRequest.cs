using System.Text.Json.Nodes;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <param name="Messages">As the chat template wants them: role, content (one string) and perhaps a name.</param>
/// <param name="AddGenerationPrompt">Open the assistant's turn after the last message.</param>
/// <param name="AddSpecialTokens">Add bos around what the template has rendered.</param>
sealed record ChatRequest(JsonArray Messages, bool AddGenerationPrompt, bool AddSpecialTokens, GenerationSettings Settings);
