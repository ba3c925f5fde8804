using LlamaCluster.Coordinator.Api.Reading;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>The one model that is served: asked for by its name, or not named at all.</summary>
static class ModelRules
{
    public static void Read(FieldReader fields, ServedModel model)
    {
        if (fields.Text("model") is { } asked && asked != model.Name)
            fields.First.Add(ApiError.UnknownModel(JsonText.Shorten(asked), model.Name));
    }
}
