"""Names that nuScenes fixes: its sensors and its detection classes."""

CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_FRONT_LEFT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT")
"""nuScenes' six cameras, in the order of its info files."""

LIDAR = "LIDAR_TOP"
"""The channel of nuScenes' only LiDAR."""

DETECTION_CLASSES = (
    "car",
    "truck",
    "trailer",
    "bus",
    "construction_vehicle",
    "bicycle",
    "motorcycle",
    "pedestrian",
    "traffic_cone",
    "barrier",
)
"""nuScenes' ten detection classes in mmdet3d's order, which is not that of the published configs."""
